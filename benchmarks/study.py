"""What the engine of studies costs, and what a second worker brings; all ratios of one run.

    python benchmarks/study.py                        # four minutes on two idle cores
    python benchmarks/study.py --runs 6 --rounds 1    # to see whether it works

A run is one training of a small network on digits, about a second of work. "Fresh" is `frankenstein
train`, a process for each, one after the other. What begins once, such as the workers, does not
count: only the time from one end of a run to the next, once all workers are there.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claims import Claim, at_least, at_most, ratios

FRANKENSTEIN = [sys.executable, "-m", "frankenstein"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each study")
    parser.add_argument("--epochs", type=int, default=5, help="of each run: about a second of work")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = measure(options.runs, options.epochs, options.rounds)
    print(f"fresh processes, one by one: {found.fresh:.2f} s a run")
    for workers, turns in found.seconds.items():
        each = ", ".join(f"{one:.2f}" for one in turns)
        print(f"study, {words(workers)}: {each} s a run")
    for claim in told(found):
        print(f"{claim.claim}: {claim.number} ({claim.goal})")
    print(f"memory of all processes: {', '.join(memory_in_words(found))}")


def claims() -> list[Claim]:
    """The engine against fresh processes, a second worker, and what the engine takes itself."""
    return told(measure(20, 5, 3))


@dataclass
class Found:
    """Seconds a run in every way, and MB of the processes together; of studies by workers."""

    fresh: float
    seconds: dict[int, list[float]]  # of every round
    overhead: list[float]  # of the engine with one worker, beside the run's own
    memory: dict[int, float]


def told(found: Found) -> list[Claim]:
    one, two = found.seconds[1], found.seconds[2]
    over_fresh = [found.fresh / turn for turn in one]
    return [
        at_least("study: runs of a second, 1 worker over fresh processes", over_fresh, 3),
        at_least("study: 2 workers over 1, on two cores", ratios(one, two), 1.7),
        at_most("study: the engine's own time for a run", found.overhead, 0.3, " s"),
    ]


def measure(runs: int, epochs: int, rounds: int) -> Found:
    before = os.getcwd()
    os.environ["OMP_NUM_THREADS"] = "1"  # in all of them, so that they do the same work
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    found = Found(0.0, {1: [], 2: []}, [], {})
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        few = max(2, runs // 3)
        began = time.monotonic()
        for seed in range(few):
            fresh_run(seed, epochs)
        found.fresh = (time.monotonic() - began) / few
        for workers in found.seconds:  # not while it is timed: a look at memory takes time
            found.memory[workers] = most_memory(
                lambda n=workers: study(few, epochs, n, f"memory-{n}")
            )
        for turn in range(rounds):
            for workers, turns in found.seconds.items():
                name = f"{workers}-{turn}"
                study(runs, epochs, workers, name)
                each, inside = once_under_way(Path("results/study") / name, workers)
                turns.append(each)
                if workers == 1:
                    found.overhead.append(each - inside)
        os.chdir(before)
    return found


def once_under_way(study: Path, workers: int) -> tuple[float, float]:
    """Seconds from the end of a run to that of the next, and those of its own that a run says.

    The first third is left out, in which workers start: a second one may come later than the first.
    Of what is left whole rounds of all workers count, whose runs end nearly together.
    """
    runs = [*study.glob("train/*")]
    # A study writes run.json anew at its end.
    ends = sorted((run / "summary.json").stat().st_mtime for run in runs)
    first = len(ends) // 3
    later = ends[first : len(ends) - (len(ends) - 1 - first) % workers]
    inside = sum(seconds_of(run / "run.json") for run in runs) / len(runs)
    return (later[-1] - later[0]) / (len(later) - 1), inside


def words(workers: int) -> str:
    return f"{workers} worker{'s' if workers > 1 else ''}"


def memory_in_words(found: Found) -> list[str]:
    return [f"{words(n)} {one:,.0f} MB" for n, one in found.memory.items()]


def fresh_run(seed: int, epochs: int) -> None:
    train = ["train", "-m", "mlp", "-d", "digits", "-e", str(epochs), "-i", str(seed)]
    subprocess.run(
        [*FRANKENSTEIN, *train, "-g", str(seed), "--accelerator", "cpu", "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def study(runs: int, epochs: int, workers: int, name: str) -> None:
    train = f"{{model: mlp, dataset: digits, epochs: {epochs}}}"
    config = Path(f"{name}.yaml")
    config.write_text(f"networks: {{train: {train}, seeds: 0..{runs - 1}}}\nrun_name: {name}\n")
    command = ["study", "--config", config, "--workers", str(workers)]
    subprocess.run(
        [*FRANKENSTEIN, *command, "--accelerator", "cpu", "--quiet"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def seconds_of(path: Path) -> float:
    return float(re.search(r'"seconds": ([\d.]+)', path.read_text())[1])


def most_memory(work: Callable[[], Any]) -> float:
    """The most MB that the processes of some work had together."""
    over, most = threading.Event(), [0.0]

    def look() -> None:
        while not over.wait(0.2):
            most[0] = max(most[0], memory_below(os.getpid()))

    watcher = threading.Thread(target=look)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return most[0]


def memory_below(parent: int) -> float:
    """MB of the processes that this one has started; what several share counts once (PSS)."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {parent}
    while new:
        new = {child for child, its in parents.items() if its in new} - found
        found |= new
    total = 0
    for pid in found:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
        except (OSError, TypeError):
            continue
    return total / 1000


if __name__ == "__main__":
    main()
