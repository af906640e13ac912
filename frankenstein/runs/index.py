"""One page of all runs below a folder, `results/index.html`: what each found, the newest first."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from frankenstein.errors import FileError, counted
from frankenstein.files import write_whole
from frankenstein.records import read_json
from frankenstein.report.page import html_of, html_page
from frankenstein.report.tables import format_value, plain
from frankenstein.runs.fields import PARTIAL
from frankenstein.runs.folder import lock_folder, unlock

INDEX = "index.html"
_OF_STUDIES = ("study", "demo", "benchmark")  # verbs whose folders hold runs themselves
_MAIN = ("accuracy/held_out", "accuracy/after", "accuracy/subject", "accuracy")
_HEADER = ("run", "verb", "found", "ended", "seconds")
_SHORT = 160  # letters of a finding
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
                    yield _row(path.parent, folder)


def _row(run: Path, folder: Path) -> _Row:
    record = read_json(run / "run.json")
    seconds = record.get("seconds")
    known = isinstance(seconds, int | float)
    found = str(record.get("finding") or _main_number(run)).replace("`", "")
    ended = (run / "summary.json").stat().st_mtime  # a study writes the paths in run.json anew
    place = run.relative_to(folder).as_posix()
    return _Row(place, str(record["verb"]), found, ended, seconds if known else None)


def _main_number(folder: Path) -> str:
    """Of a run that says no sentence."""
    numbers = read_json(folder / "summary.json")
    name = next((one for one in _MAIN if isinstance(numbers.get(one), int | float)), None)
    return f"{name} {format_value(numbers[name], percent=True)}" if name else ""


def _page(folder: Path, rows: Sequence[_Row]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in _HEADER)
    body = "\n".join(_line(folder, row) for row in rows)
    title = f"Runs in {folder.resolve().name}"
    told = f"{counted(len(rows), 'finished run')}, the newest first. A click on a header sorts."
    table = (
        '<div class="wide" role="group" tabindex="0" aria-label="table">\n'
        f'<table data-sort="yes" class="runs">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
    )
    page = html_page(title, [html_of(f"# {plain(title)}\n\n{told}"), table])
    return page.replace("img-src ", "img-src 'self' ", 1)  # pictures of the runs lie beside it


def _line(folder: Path, row: _Row) -> str:
    where, verb, found = quote(row.place), escape(row.verb), escape(_in_short(row.found))
    page = "report.html" if (folder / row.place / "report.html").is_file() else "run.json"
    ended = datetime.fromtimestamp(row.ended).strftime("%Y-%m-%d %H:%M")
    seconds = "" if row.seconds is None else f"{row.seconds:.0f}"
    return (
        f'<tr><td>{_picture(folder / row.place, where)}<a href="{where}/{page}">'
        f"{escape(row.place)}</a></td><td>{verb}</td><td>{found}</td><td>{ended}</td>"
        f'<td style="text-align:right">{seconds}</td></tr>'
    )


def _picture(run: Path, where: str) -> str:
    """The first picture of a run's report, small; a browser reads it once it is in sight."""
    with suppress(OSError), (run / "report.md").open(encoding="utf-8") as report:
        names = (re.match(r"!\[.*\]\((figures/[^)]+)\)", line) for line in report)
        if first := next(filter(None, names), None):
            return f'<img src="{where}/{first[1]}" alt="" loading="lazy" width="120" />'
    return ""


def _in_short(found: str) -> str:
    """The first parts of a finding; the run's page has all of it."""
    if len(found) <= _SHORT:
        return found
    cut = found[:_SHORT]
    end = max(cut.rfind(mark) for mark in ("; ", ". "))
    return f"{cut[: end if end > 0 else cut.rfind(' ')]} …"
