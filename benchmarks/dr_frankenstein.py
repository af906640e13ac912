"""What the literature's observations come to here: each row is one command of this project.

Two Tiny-10s trained on Fashion-MNIST (the two that ship) are stitched in the ways that issue and
paper report figures for; the table holds theirs beside ours. Figures are of other networks with
other seeds, so a point or two of difference is to be expected, and what should stay is the order.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from frankenstein.data import Fashion
from frankenstein.stitches import Affine, load_stitch
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut
from frankenstein.zoo import load_network

NETWORKS = [f"model_weights/tiny10/fashion/in{i}-gn{i}.safetensors" for i in (0, 1)]
SOLVED = "-i ps_inv -e 0"

# (what, options, {(sender layer, receiver layer): accuracy in per cent elsewhere})
ROWS = [
    ("least squares", SOLVED, {("bn3", "bn3"): 89.3, ("bn5", "bn5"): 89.0, ("bn7", "bn7"): 90.0}),
    ("task loss, random start", "-e 2", {("bn3", "bn3"): 89.3, ("bn5", "bn5"): 88.8}),
    (
        "task loss, least-squares start",
        "-i ps_inv -e 2",
        {("bn3", "bn3"): 90.4, ("bn5", "bn5"): 90.2},
    ),
    ("reduced-rank regression, rank 4", f"-r 4 {SOLVED}", {("bn3", "bn3"): 85.0}),
    (
        "one-to-one matching",
        f"--family permutation {SOLVED}",
        {("bn3", "bn3"): 83.0, ("bn5", "bn5"): 80.0, ("bn7", "bn7"): 87.0},
    ),
    ("one-to-one matching, scaled and shifted", f"-m match {SOLVED}", {("bn3", "bn3"): None}),
    ("identity", "--family identity -e 0", {("bn3", "bn3"): 12.0}),
    ("task loss, across depth", "-e 2", {("bn7", "bn5"): 88.8, ("bn5", "bn5"): 88.4}),
    ("least squares, across depth", SOLVED, {("bn7", "bn5"): 66.4, ("bn5", "bn5"): 89.1}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    parser.add_argument("--out-dir", default="results", help="folder of the runs")
    options = parser.parse_args()
    ran: dict[str, dict[str, float]] = {}
    lines = ["| stitch | layers | options of stitch.py | elsewhere | here |"]
    lines += ["| --- | --- | --- | ---: | ---: |"]
    for what, words, cells in ROWS:
        for layers, elsewhere in cells.items():
            command = " ".join([*layers, *words.split()])
            if command not in ran:
                ran[command] = stitch(command.split(), options)
            here = 100 * ran[command]["accuracy/after"]
            theirs = "" if elsewhere is None else f"{elsewhere:.1f} %"
            lines.append(
                f"| {what} | {layers[0]} -> {layers[1]} | `{words}` | {theirs} | {here:.2f} % |"
            )
    truncated = 100 * truncated_accuracy(4, "bn3", ran[f"bn3 bn3 {SOLVED}"]["folder"], options)
    lines.append(
        f"| least squares, W truncated to rank 4 | bn3 -> bn3 | (this script) | 41.0 % "
        f"| {truncated:.2f} % |"
    )
    networks = next(iter(ran.values()))
    print(
        f"Sender {networks['accuracy/sender']:.2%}, receiver {networks['accuracy/receiver']:.2%} "
        "of 10,000 held-out images (elsewhere: 90.8 % both).\n"
    )
    print("\n".join(lines))


def stitch(words: list[str], options: argparse.Namespace) -> dict:
    """Run stitch.py; its summary, and its folder."""
    command = [sys.executable, "stitch.py", *NETWORKS, *words, "--quiet"]
    command += ["--data-root", options.data_root, "--out-dir", options.out_dir]
    print("python stitch.py", *NETWORKS, *words, file=sys.stderr)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    folder = Path(said.split()[-1])
    return json.loads((folder / "summary.json").read_text()) | {"folder": folder}


@torch.no_grad()
def truncated_accuracy(rank: int, layer: str, folder: Path, options: argparse.Namespace) -> float:
    """Accuracy of the least-squares map whose singular values behind the first `rank` are 0."""
    data = Fashion(image_size=32, data_root=options.data_root)
    data.setup()
    stitch = load_stitch(folder / "ps_inv.safetensors")
    u, s, v = torch.linalg.svd(stitch.weight.double())
    weight = (u[:, :rank] * s[:rank]) @ v[:rank]
    # What is lost of W is lost about the mean, too: the bias stays that of the whole map.
    short = Affine(*weight.T.shape).approximate(weight, stitch.bias.double())
    halves = [cut(load_network(path), after=layer) for path in NETWORKS]
    return evaluate_stitches(*halves, {"it": short}, data.val_batches(), [])["accuracy/it"]


if __name__ == "__main__":
    main()
