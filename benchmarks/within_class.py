"""What sums by class cost, over plain sums: one pass over layers of two networks, kept in memory.

Each way makes what unbiased CKA needs of every pair of layers; sums by class give it within
classes, too. They take turns on the same batches. Seconds are of processor time, on one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from frankenstein.buffers import keep_buffers
from frankenstein.measures import LayerSimilarities

PLAIN = ["unbiased_cka"]
WAYS = {"plain": PLAIN, "by class": [*PLAIN, "within_class_unbiased_cka"]}
LAYERS = {"bn3": (32, 13), "bn5": (32, 9), "bn7": (64, 2)}  # units, and places to a side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each way, after one more")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    keep_buffers()  # as every command does
    print("| what is compared | plain, s | by class, s | ratio (least to most) |")
    print("| --- | ---: | ---: | ---: |")
    labels = torch.randint(options.classes, (options.images,))
    for flattening in ("per_location", "pooled"):
        for name, layers in {**{layer: [layer] for layer in LAYERS}, "all": [*LAYERS]}.items():
            if flattening == "per_location" and name == "all":
                continue  # they lie on other grids
            x = {s: torch.randn(options.images, c, n, n) for s in layers for c, n in [LAYERS[s]]}
            seconds = take_turns(x, labels, flattening, options.rounds)
            ratios = [b / a for a, b in zip(seconds["plain"], seconds["by class"], strict=True)]
            plain, by_class = (statistics.median(seconds[way]) for way in WAYS)
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"| {name}, {flattening} | {plain:.3f} | {by_class:.3f} | {spread} |")


def take_turns(
    x: dict[str, Tensor], labels: Tensor, flattening: str, rounds: int
) -> dict[str, list[float]]:
    """Processor time of every turn but the first; who begins changes."""
    y = {name: z.roll(1, 1) for name, z in x.items()}
    ways: dict[str, Callable[[], LayerSimilarities]] = {
        way: lambda names=names: LayerSimilarities(names, flattening, block=None)  # type: ignore
        for way, names in WAYS.items()
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    names = [*ways]
    for turn in range(rounds + 1):
        for way in names[turn % 2 :] + names[: turn % 2]:
            began = time.process_time()
            kept = ways[way]()
            for rows in torch.arange(len(labels)).split(200):
                some = [{s: z[rows] for s, z in side.items()} for side in (x, y)]
                kept.update(*some, labels=labels[rows])
            kept.pair("unbiased_cka", *(next(iter(side)) for side in (x, y)))
            if turn:
                seconds[way].append(time.process_time() - began)
    return seconds


if __name__ == "__main__":
    main()
