"""Files of activations larger than memory: the most that comparing one takes in a process.

    python benchmarks/activations.py                  # 8 GB as .npy, and as .safetensors
    python benchmarks/activations.py --gigabytes 1

Rows are random numbers, the second file has 64 units made of the first. Peaks are of the process
that compares (`ru_maxrss`, which counts pages of mapped files), and in brackets what of it came
after the imports of Python, torch and the rest.
"""

import argparse
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from frankenstein.activations.write import numbers_of, write_activations
from frankenstein.similarity import ComparePlan

UNITS, PART = 1024, 16384
MEASURES = ["unbiased_cka", "mutual_knn"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--suffixes", nargs="+", default=[".npy", ".safetensors"])
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = int(options.gigabytes * 1e9 / (4 * UNITS))
    if options.write:
        write(*map(Path, options.write), rows)
    elif options.compare:
        print(*compared(*options.compare))
    else:
        table(rows, options.suffixes)


def table(rows: int, suffixes: list[str]) -> None:
    size = 4 * UNITS * rows
    print(
        f"{rows:,} rows of {UNITS} units in float32, against 64 units, by "
        f"{' and '.join(MEASURES)}; {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s).\n\n"
        "| file | GB | peak, MB | seconds |\n| --- | ---: | ---: | ---: |"
    )
    for suffix in suffixes:
        with tempfile.TemporaryDirectory() as folder:
            if shutil.disk_usage(folder).free < 1.2 * size:
                raise SystemExit(f"{folder} has no room; set TMPDIR to another folder")
            one, other = f"{folder}/large{suffix}", f"{folder}/small.npy"
            in_a_process("--write", one, other, "--gigabytes", str(4e-9 * UNITS * rows))
            before, peak, seconds = map(float, in_a_process("--compare", one, other))
            cells = [f"`{suffix}`", f"{size / 1e9:.2f}"]
            cells += [f"{peak / 1e6:,.0f} ({(peak - before) / 1e6:,.0f})", f"{seconds:.0f}"]
            print(f"| {' | '.join(cells)} |", flush=True)


def in_a_process(*words: str) -> list[str]:
    """One whose peak is its own: a process begins with the peak of the one that starts it."""
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.split()


def write(one: Path, other: Path, rows: int) -> None:
    """A file of so many rows, and one of units that are made of theirs."""
    generator = torch.Generator().manual_seed(0)
    turned = torch.randn(UNITS, 64, generator=generator) / UNITS**0.5
    kept = []

    def parts():
        for start in range(0, rows, PART):
            x = torch.randn(min(PART, rows - start), UNITS, generator=generator)
            kept.append(x @ turned)
            yield {"layer": x}

    placed = numbers_of(rows, {"layer": torch.empty(1, UNITS)})
    write_activations(one, placed, parts(), {})
    np.save(other, torch.cat(kept).numpy())


def compared(one: str, other: str) -> tuple[float, float, float]:
    """The most bytes that this process has held, before the work and with it, and its seconds."""
    before, began = most(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ComparePlan(
            sender=one,
            receiver=other,
            measures=MEASURES,
            accelerator="cpu",
            out_dir=folder,
            quiet=True,
        ).run()
    return before, most(), time.monotonic() - began


def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
