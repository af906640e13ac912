"""One page of all runs below a folder, `results/index.html`: what each found, the newest first."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from frankenstein.errors import FileError, counted
from frankenstein.files import write_whole
from frankenstein.records import read_json
from frankenstein.report.page import html_of, html_page
from frankenstein.report.tables import format_value, markdown_table, plain
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.folder import lock_folder, unlock

INDEX = "index.html"
_OF_STUDIES = ("study", "demo")  # verbs whose folders hold runs themselves
_MAIN = ("accuracy/held_out", "accuracy/after", "accuracy/subject", "accuracy")
_HEADER = ("run", "verb", "found", "ended", "seconds")
_PATIENCE = 2.0  # seconds that a run waits for another one that writes the index
_OFTEN = 0.02  # seconds between looks


class _Row(NamedTuple):
    place: str  # of the run's folder, below that of the index
    verb: str
    found: str  # its finding
    ended: float  # seconds since 1970
    seconds: float | None  # that it took


def write_index(folder: Path) -> None:
    """Write `index.html` anew from the records of all finished runs below a folder.

    A record that cannot be read is left out. An index that cannot be written is let be: the runs
    are whole without it. Of two runs that end at once, the later one lists both.
    """
    with suppress(OSError, FileError), _alone(folder):
        rows = sorted(_rows(folder), key=lambda row: row.ended, reverse=True)
        write_whole(folder / INDEX, _page(folder, rows))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else writes the index; after a while go on all the same."""
    end = time.monotonic() + _PATIENCE
    while (lock := lock_folder(folder)) < 0 and time.monotonic() < end:
        time.sleep(_OFTEN)
    try:
        yield
    finally:
        if lock >= 0:
            unlock(lock)


def _rows(folder: Path) -> Iterator[_Row]:
    inside = [f"{verb}/*/*/*" for verb in _OF_STUDIES]
    for form in ("*/*", *inside):
        for path in folder.glob(f"{form}/run.json"):
            if not path.parent.name.endswith(PARTIAL):
                with suppress(OSError, FileError, KeyError):
                    yield _row(path, folder)


def _row(path: Path, folder: Path) -> _Row:
    record, ended = read_json(path), path.stat().st_mtime
    seconds = record.get("seconds")
    known = isinstance(seconds, int | float)
    found = str(record.get("finding") or _main_number(path.parent)).replace("`", "")
    place = path.parent.relative_to(folder).as_posix()
    return _Row(place, str(record["verb"]), found, ended, seconds if known else None)


def _main_number(folder: Path) -> str:
    """Of a run that says no sentence."""
    numbers = read_json(folder / "summary.json")
    name = next((one for one in _MAIN if isinstance(numbers.get(one), int | float)), None)
    return f"{name} {format_value(numbers[name], percent=True)}" if name else ""


def _page(folder: Path, rows: Sequence[_Row]) -> str:
    cells = [
        [
            _link(folder, row.place),
            row.verb,
            row.found,
            datetime.fromtimestamp(row.ended).strftime("%Y-%m-%d %H:%M:%S"),
            row.seconds,
        ]
        for row in rows
    ]
    table = html_of(markdown_table(cells, _HEADER)).replace("<table", '<table data-sort="yes"', 1)
    title = f"Runs in {folder.resolve().name}"
    told = f"{counted(len(rows), 'finished run')}, the newest first. A click on a header sorts."
    return html_page(title, [html_of(f"# {plain(title)}\n\n{told}"), table])


def _link(folder: Path, place: str) -> str:
    page = "/report.md" if (folder / place / "report.html").is_file() else "/run.json"
    return f"[{plain(place)}]({quote(place)}{page})"
