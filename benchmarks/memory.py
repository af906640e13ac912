"""Memory at ten times the data: training, solving and comparing keep sums, not examples.

`frankenstein analyze` keeps rows, but of --examples images at most, as many in both columns.
Images are made when a batch asks for them, as image files are read, so that the data itself takes
no memory. Each row is a process of its own: its peak, and in brackets what of it came after the
imports of Python, torch and the rest.
"""

import argparse
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
import torch
from claims import Claim, at_most
from torch import Tensor

from frankenstein.catalog import DATASETS, Dataset
from frankenstein.cli import main as command_line
from frankenstein.data import ImageData
from frankenstein.similarity import similarity_matrix
from frankenstein.stitches import Affine
from frankenstein.surgery import cut
from frankenstein.tasks import Classifier, DataModule, Stitching, matching_moments
from frankenstein.zoo import Card, build_network, save_network


class Made:
    """Images that are made of their numbers."""

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        numbers = torch.arange(self.examples)[rows] if isinstance(rows, slice) else rows
        pixels = torch.arange(1, 32 * 32 + 1)
        return (numbers[:, None] * pixels % 251).to(torch.uint8).view(-1, 1, 32, 32)


class Endless(ImageData):
    """As many images as are asked for."""

    name, classes, num_classes = "endless", tuple("0123456789"), 10
    in_channels, native_size, mean, std = 1, 32, (0.5,), (0.3,)
    examples = 0

    def load(self, split: str) -> tuple[Made, Tensor]:
        return Made(self.examples), torch.arange(self.examples) % 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, help="and ten times as many")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(peak(options.work, options.images))
        return
    print(
        f"LeNet on 32x32 images; {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}.\n\n"
        f"| work | {options.images:,} images, MB | {10 * options.images:,} images, MB | ratio |\n"
        "| --- | ---: | ---: | ---: |"
    )
    for work in WORKS:
        found = [in_a_process(work, options.images * times) for times in (1, 10)]
        cells = [f"{peak / 1e6:.0f} ({(peak - before) / 1e6:.0f})" for before, peak in found]
        ratio = found[1][1] / found[0][1]
        print(f"| {work} | {' | '.join(cells)} | {ratio:.3f} |", flush=True)


def claims() -> list[Claim]:
    """The work that grows most."""
    growth = {}
    for work in WORKS:
        few, many = (in_a_process(work, 1000 * times)[1] for times in (1, 10))
        growth[work] = many / few
    most = max(growth, key=lambda work: growth[work])
    title = f"memory at ten times the data, of {', '.join(WORKS)}; most: {most}"
    return [at_most(title, growth[most], 1.1)]


def in_a_process(work: str, images: int) -> list[int]:
    words = [sys.executable, __file__, "--work", work, "--images", str(images)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [int(word) for word in done.stdout.split()[-2:]]


def peak(work: str, images: int) -> str:
    """The most bytes that this process has held in memory, before the work and with it."""
    Endless.examples, before = images, most()
    WORKS[work](Endless(batch_size=100, eval_batch_size=100))
    return f"{before} {most()}"


def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def networks() -> list[torch.nn.Module]:
    return [build_network("lenet", 10, 1, init_seed=seed).eval() for seed in (0, 1)]


def fit(task: pl.LightningModule, data: ImageData) -> None:
    pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(task, DataModule(data))


def train(data: ImageData) -> None:
    fit(Classifier(networks()[0]), data)


def stitch(data: ImageData) -> None:
    fit(Stitching(*networks(), "pool1", "pool1", Affine(6, 6)), data)


def solve(data: ImageData) -> None:
    fronts = [cut(network, after="pool1").front for network in networks()]
    Affine(6, 6).solve(matching_moments(*fronts, data.train_batches()))


def compare(data: ImageData) -> None:
    similarity_matrix(*networks(), data.val_batches())


def analyze(data: ImageData) -> None:
    DATASETS["endless"] = Dataset(f"{__name__}:Endless", data.name, 10, 1)  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{seed}.safetensors") for seed in (0, 1)]
        for seed, (file, network) in enumerate(zip(files, networks(), strict=True)):
            save_network(file, network, Card("lenet", 10, 1, data.name, seed, seed, 0))
        options = ["--examples", "2000", "--out-dir", folder, "--quiet"]
        if command_line(["analyze", *files, "--all", *options]):
            raise SystemExit("analyze failed")


WORKS: dict[str, Callable[[ImageData], None]] = {
    "train": train,
    "stitch": stitch,
    "solve": solve,
    "compare": compare,
    "analyze --all": analyze,
}

if __name__ == "__main__":
    main()
