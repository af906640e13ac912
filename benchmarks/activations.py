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
MEASURES = ["unbiased_cka", "linear_cka", "mutual_knn"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=8)
    parser.add_argument("--compare", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compare:
        print(*compared(*options.compare))
        return
    rows = int(options.gigabytes * 1e9 / (4 * UNITS))
    with tempfile.TemporaryDirectory() as folder:
        if shutil.disk_usage(folder).free < 2.1e9 * options.gigabytes:
            raise SystemExit(f"{folder} has no room for two files; set TMPDIR to another folder")
        print(
            f"{rows:,} rows of {UNITS} units in float32, against 64 units; "
            f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}, "
            f"{torch.get_num_threads()} thread(s).\n\n"
            "| file | GB | measures | peak, MB | seconds |\n| --- | ---: | --- | ---: | ---: |"
        )
        for suffix in (".npy", ".safetensors"):
            one, other = write(Path(folder), suffix, rows)
            for measures in (MEASURES[:1], MEASURES):
                row(one, other, measures)
            one.unlink()


def row(one: Path, other: Path, measures: list[str]) -> None:
    words = [sys.executable, __file__, "--compare", str(one), str(other), ",".join(measures)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    before, peak, seconds = map(float, done.stdout.split()[-3:])
    size = one.stat().st_size / 1e9
    megabytes = f"{peak / 1e6:,.0f} ({(peak - before) / 1e6:,.0f})"
    cells = [f"`{one.suffix}`", f"{size:.2f}", ", ".join(measures), megabytes, f"{seconds:.0f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def write(folder: Path, suffix: str, rows: int) -> tuple[Path, Path]:
    """A file of so many rows, and one of units that are made of theirs."""
    generator = torch.Generator().manual_seed(0)
    turned = torch.randn(UNITS, 64, generator=generator) / UNITS**0.5
    kept = []

    def parts():
        for start in range(0, rows, PART):
            x = torch.randn(min(PART, rows - start), UNITS, generator=generator)
            kept.append(x @ turned)
            yield {"layer": x}

    one, other = folder / f"large{suffix}", folder / "small.npy"
    placed = numbers_of(rows, {"layer": torch.empty(1, UNITS)})
    write_activations(one, placed, parts(), {})
    np.save(other, torch.cat(kept).numpy())
    return one, other


def compared(one: str, other: str, measures: str) -> tuple[float, float, float]:
    """The most bytes that this process has held, before the work and with it, and its seconds."""
    before, began = most(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        ComparePlan(
            sender=one,
            receiver=other,
            measures=measures.split(","),
            accelerator="cpu",
            out_dir=folder,
            quiet=True,
        ).run()
    return before, most(), time.monotonic() - began


def most() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
