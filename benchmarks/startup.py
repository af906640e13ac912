"""Processor time at start: comparing two small networks, against importing torch and torchvision.

Each turn is a process of its own, and the ways take turns. Time is the process's user and system
time on one thread, so that it holds on a busy machine, too: a second thread waits by turning.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from claims import Claim, at_most, ratios

ROOT = Path(__file__).parents[1]
DIGITS = ROOT / "model_weights/tiny10/digits"
NETWORKS = [str(DIGITS / f"in{seed}-gn{seed}.safetensors") for seed in (0, 1)]
COMPARE = str(ROOT / "compare.py")
IMPORTS = "import torch, torchvision"
WAYS = {
    IMPORTS: ["-c", IMPORTS],
    "compare.py A B": [COMPARE, *NETWORKS, "--quiet"],
    "compare.py --help": [COMPARE, "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each way")
    options = parser.parse_args()
    seconds = measure(options.rounds)
    report(seconds, options.rounds)


def claims() -> list[Claim]:
    """Comparing two small networks against the imports."""
    seconds = measure(5)
    turns = ratios(seconds["compare.py A B"], seconds[IMPORTS])
    return [at_most("start-up: compare.py A B, over importing torch and torchvision", turns, 1.8)]


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every way by turn."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(-1, rounds):  # the first one fills the caches of files
        for way, words in WAYS.items():
            spent = processor_time(words)
            if turn >= 0:
                seconds[way].append(spent)
    return seconds


def report(seconds: dict[str, list[float]], rounds: int) -> None:
    print(
        f"A and B: the shipped digits networks. {rounds} turns of each; "
        f"{platform.machine()}, one thread, Python {platform.python_version()}, "
        f"torch {version('torch')}.\n\n"
        "| process | seconds, median (least to most) | times importing torch and torchvision |\n"
        "| --- | ---: | ---: |"
    )
    for way, times in seconds.items():
        against = "" if way == IMPORTS else spread(ratios(times, seconds[IMPORTS]))
        print(f"| `{way}` | {spread(times)} | {against} |")


def processor_time(words: list[str]) -> float:
    """Seconds of user and system time that a Python process and its children take."""
    with tempfile.TemporaryDirectory() as folder:  # of its own: a run is written into it
        before = os.times()
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        after = os.times()
    if done.returncode:
        raise SystemExit(done.stderr)
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system


def spread(numbers: list[float]) -> str:
    """The median and the range."""
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


if __name__ == "__main__":
    main()
