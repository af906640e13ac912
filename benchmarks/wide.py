"""Wide layers and few examples: a matrix of a measure of sums, per sample, by rows.

Each case is a process of its own: seconds from the first batch to the last value, and its peak of
memory above that before the first batch. Values are held against float64 Gram matrices.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import time

import torch
from claims import Claim, at_most
from torch import Tensor

from frankenstein.measures import LayerSimilarities

# Examples, units, and layers of each network; goals in seconds, if there is one, and MB.
CASES = {
    "60 examples of 8,192 units": (60, 8_192, 8, 900),
    "60 examples of 51,200 units": (60, 51_200, 8, 900),
    "2,000 examples of 4,096 units": (2_000, 4_096, 32, 8_000),
}
BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", type=int, help="numbers of cases, from 0 on; else all")
    parser.add_argument("--of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.of is not None:
        print(*measure(*list(CASES.values())[options.of][:3]))
        return
    print(
        f"linear_cka, per sample; {platform.machine()}, {os.cpu_count()} cores, 1 thread, torch "
        f"{torch.__version__}.\n\n| case | layers | seconds | MB | error |\n| --- | ---: | ---: | "
        "---: | ---: |"
    )
    for i in options.cases or range(len(CASES)):
        name, (_, _, layers, _) = list(CASES.items())[i]
        seconds, megabytes, error = in_a_process(i)
        print(f"| {name} | {layers} x {layers} | {seconds:.1f} | {megabytes:,.0f} | {error:.0e} |")


def claims() -> list[Claim]:
    """Memory and error of every case."""
    rows = []
    for i, (name, (_, _, layers, most)) in enumerate(CASES.items()):
        seconds, megabytes, error = in_a_process(i)
        title = f"linear_cka per sample, {name}, {layers} x {layers} layers, {seconds:.0f} s"
        rows.append(at_most(f"{title}: memory", megabytes, most, " MB"))
        rows.append(at_most(f"{title}: error", error, 1e-9, ""))
    return rows


def in_a_process(case: int) -> list[float]:
    words = [sys.executable, __file__, "--of", str(case)]
    return [float(word) for word in subprocess.check_output(words, text=True).split()[-3:]]


def measure(examples: int, units: int, layers: int) -> tuple[float, float, float]:
    """Seconds, MB, and the error of three cells."""
    before = peak()
    began = time.perf_counter()
    kept = LayerSimilarities(["linear_cka"], "per_sample", block=None)
    for first in range(0, examples, BATCH):
        rows = range(first, min(first + BATCH, examples))
        kept.update(*({f"{a}{i}": made(a, i, rows, units) for i in range(layers)} for a in "xy"))
    values = kept.values()["linear_cka"]
    seconds, megabytes = time.perf_counter() - began, peak() - before
    error = 0.0
    for i in (0, 1, layers - 1):
        k, l = (gram(made(a, i, range(examples), units)) for a in "xy")  # noqa: E741
        truth = (k * l).sum() / k.norm() / l.norm()
        error = max(error, float((values[i, i] - truth).abs()))
    return seconds, megabytes, error


def made(side: str, layer: int, rows: range, units: int) -> Tensor:  # (rows, units)
    """Layers that share some of what they tell of an example."""
    parts = []
    for row in rows:
        common = torch.Generator().manual_seed(row)
        own = torch.Generator().manual_seed(10_000 * (1 + layer) + row + (side == "y") * 5_000_000)
        parts.append(torch.randn(units, generator=common) + torch.randn(units, generator=own) + 1)
    return torch.stack(parts)


def gram(rows: Tensor) -> Tensor:  # (N, N) float64
    rows = rows.double()
    rows = rows - rows.mean(0)
    return rows @ rows.T


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
