"""What a page of many runs has of all of them: an index, and one table for pandas."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from frankenstein.report import markdown_table, plain
from frankenstein.studies.finished import FinishedRun

_MAIN = ("accuracy/held_out", "accuracy/after", "accuracy/solved")  # of a run without a finding


def linked(target: Path, folder: Path, mark: str = "") -> str:
    """A link from a page in a folder to a run's report, or to its folder if it has none."""
    way = quote(os.path.relpath(target.resolve(), folder.resolve()))
    page = "/report.md" if (target / "report.html").is_file() else ""
    return f"[{plain(target.name + mark)}]({way}{page})"


def index_table(runs: Sequence[FinishedRun], folder: Path) -> str:
    """Every run with a link to its report, and what it found."""
    rows = [[run.verb, linked(run.folder, folder), _found(run)] for run in runs]
    return markdown_table(rows, ["verb", "run", "found"])


def _found(run: FinishedRun) -> str:
    if said := run.record.get("finding"):
        return str(said).replace("`", "")  # a cell of a table shows them as they are
    name = next((one for one in _MAIN if run.scores.get(one) is not None), None)
    return f"{name} {100 * (run.scores[name] or 0):.2f} %" if name else ""


def tidy_csv(runs: Sequence[FinishedRun], folder: Path) -> str:
    """A line for each run: its verb, seeds, every field in which runs differ, and all numbers.

    A number that a run has not, or that is undefined, is an empty cell.
    """
    asked = [run.asked for run in runs]
    keys = dict.fromkeys(key for one in asked for key in one if key != "verb")
    varying = [key for key in keys if len({repr(one.get(key)) for one in asked}) > 1]
    seeds = [*dict.fromkeys(name for run in runs for name in run.seeds)]
    scores = [*dict.fromkeys(name for run in runs for name in run.scores)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "verb", *(f"seed of {name}" for name in seeds), *varying, *scores])
    for run, fields in zip(runs, asked, strict=True):
        place = os.path.relpath(run.folder.resolve(), folder.resolve())
        of_seeds = [run.seeds.get(name) for name in seeds]
        said = [_cell(fields.get(key)) for key in varying]
        writer.writerow([place, run.verb, *of_seeds, *said, *map(run.scores.get, scores)])
    return text.getvalue()


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
