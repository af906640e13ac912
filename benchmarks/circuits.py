"""What it takes to find the circuits of a wide layer: no loop over pairs of units.

Activations of planted groups in noise; the similarities are one product of matrices, the groups a
tree by scipy. The null, which the threshold is never below, is one more product for two shuffles.
"""

import argparse
import os
import platform
import time

import torch

from frankenstein.questions.circuits.find import find_circuits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--units", type=int, nargs="+", default=[64, 512, 2048, 4096])
    options = parser.parse_args()
    print(
        f"{options.examples} examples in float32, groups of four units; {platform.machine()}, "
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}.\n"
    )
    print("| units | pairs | groups found of | seconds | with a null of 19 shuffles |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for units in options.units:
        z = planted(options.examples, units)
        seconds = {}
        for shuffles in (0, 19):
            began = time.perf_counter()
            found = find_circuits(z, shuffles=shuffles)
            seconds[shuffles] = time.perf_counter() - began
        print(
            f"| {units:,} | {units * (units - 1) // 2:,} | {len(found.groups)} of {units // 4} | "
            f"{seconds[0]:.2f} | {seconds[19]:.1f} |",
            flush=True,
        )


def planted(examples: int, units: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    signals = torch.randn(examples, units // 4, generator=generator)
    noise = torch.randn(examples, units, generator=generator)
    return (signals.repeat_interleave(4, 1) + 0.5 * noise).relu()


if __name__ == "__main__":
    main()
