"""All claims about speed and memory in one table, at the top of benchmarks/README.md.

Each script of `SCRIPTS` has a function `claims()` that measures what it claims. It runs in a
process of its own, and its rows are written as data into claims.json. `make benchmarks` runs all of
them, in under 40 minutes on two idle cores. A claim that slipped, or a script that fails, is a row
that says so, and the command then ends with 1.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DATA, TABLE = FOLDER / "claims.json", FOLDER / "README.md"
BEGIN, END = "<!-- claims: made by make benchmarks -->\n", "<!-- end of claims -->\n"
# In the order of the table. Those that are not there yet are left out.
SCRIPTS = (
    "training",
    "stitching_step",
    "solving",
    "evaluating",
    "matrix",
    "large",
    "wide",
    "startup",
    "memory",
    "study",
    "networks",
    "masked",
    "gpu",
)
DATA_ROOT = os.environ.get("FRANKENSTEIN_DATA", "data")


@dataclass(frozen=True)
class Claim:
    """What is claimed, and what was measured."""

    claim: str
    number: str
    goal: str
    met: bool
    noise: str = ""  # least to most of the turns


def at_most(claim: str, turns: float | Sequence[float], goal: float, unit: str = "x") -> Claim:
    """A claim whose number, the median of some turns, is no more than the goal."""
    return _claim(claim, turns, f"at most {_number(goal)}{unit}", goal, 1, unit)


def at_least(claim: str, turns: float | Sequence[float], goal: float, unit: str = "x") -> Claim:
    """A claim whose number, the median of some turns, is no less than the goal."""
    return _claim(claim, turns, f"at least {_number(goal)}{unit}", goal, -1, unit)


def ratios(turns: Sequence[float], of: Sequence[float]) -> list[float]:
    """How many times as long each turn took as the other way's in the same round."""
    return [one / other for one, other in zip(turns, of, strict=True)]


def _claim(
    claim: str, turns: float | Sequence[float], told: str, goal: float, sign: int, unit: str
) -> Claim:
    turns = [turns] if isinstance(turns, int | float) else turns
    middle = statistics.median(turns)
    noise = f"{_number(min(turns))} to {_number(max(turns))}" if len(turns) > 1 else ""
    return Claim(claim, f"{_number(middle)}{unit}", told, sign * middle <= sign * goal, noise)


def _number(value: float) -> str:
    if value and (abs(value) < 0.01 or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scripts", nargs="*", choices=[*SCRIPTS, []], help="only these; else all")
    parser.add_argument("--of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.of:
        rows = importlib.import_module(options.of).claims()
        print(json.dumps([asdict(row) for row in rows]))
        return
    known: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {}
    began = time.perf_counter()
    for script in options.scripts or SCRIPTS:
        if has_claims(script):
            print(f"{script} ...", flush=True)
            known[script] = measured(script)
            DATA.write_text(json.dumps(known, indent=1) + "\n")
            write_table(known)
    print(f"{(time.perf_counter() - began) / 60:.0f} minutes; {TABLE} has the table")
    failed = [row["claim"] for one in known.values() for row in one["rows"] if not row["met"]]
    if failed:
        raise SystemExit("not met: " + "; ".join(failed))


def has_claims(script: str) -> bool:
    """Whether there is such a script, and it claims anything."""
    file = FOLDER / f"{script}.py"
    return file.exists() and "def claims(" in file.read_text()


def measured(script: str) -> dict[str, Any]:
    """A script's rows, or one that tells how it failed; when, where, and how calm it was there."""
    before, began = pulse(), time.perf_counter()
    words = [sys.executable, __file__, "--of", script]
    done = subprocess.run(words, capture_output=True, text=True, cwd=FOLDER.parent)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        rows = [asdict(Claim(f"{script}.py", "failed", last[:200], met=False))]
    else:
        rows = json.loads(done.stdout.strip().splitlines()[-1])
    beats = before + pulse()
    return {
        "date": date.today().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "calm": max(beats) / min(beats),
        "minutes": (time.perf_counter() - began) / 60,
        "rows": rows,
    }


def pulse(turns: int = 9) -> list[float]:
    """Seconds of one fixed work, again and again: on an idle machine they are nearly equal."""
    seconds = []
    for _ in range(turns):
        began = time.perf_counter()
        sum(range(1_000_000))
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[1:-1]


def write_table(known: dict[str, Any]) -> None:
    """The rows of all scripts, between the marks of README.md."""
    lines = [
        "| claim | number | turns | goal | met | measured |",
        "| --- | ---: | ---: | ---: | --- | --- |",
    ]
    for script in SCRIPTS:
        for row in known.get(script, {"rows": []})["rows"]:
            one = known[script]
            met = "yes" if row["met"] else "**no**"
            where = f"{one['date']}, {one['machine']}, pulse {one['calm']:.2f}, `{script}.py`"
            cells = row["claim"], row["number"], row["noise"], row["goal"], met, where
            lines.append(f"| {' | '.join(cells)} |")
    minutes = sum(one["minutes"] for one in known.values())
    lines += [
        "",
        f"All of it took {minutes:.0f} minutes. *turns*: least to most of them, whose median is "
        "the number. *pulse*: the slowest over the fastest turn of one fixed work before and "
        "after; near 1 the machine was idle, and from 1.5 on no time of that row means anything.",
        "",
    ]
    text = TABLE.read_text()
    if BEGIN not in text or END not in text:  # or all that follows would go
        raise SystemExit(f"{TABLE} has lost one of its marks, {BEGIN.strip()} and {END.strip()}")
    head, _, rest = text.partition(BEGIN)
    TABLE.write_text(head + BEGIN + "\n".join(lines) + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
