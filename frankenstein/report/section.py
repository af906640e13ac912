"""One question's part of a report, and what the terminal shows of its answer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from frankenstein.report.document import Picture
from frankenstein.report.tables import format_value, rich_table
from frankenstein.report.terminal import WIDE, spaced

_LAYERS = 5  # at most, spread evenly from the first to the last: 80 columns hold them
_ROWS = 8  # of one answer in a narrow terminal
_LINES = 12  # of several answers together
_COLUMNS = 3  # of each of them


class Short(NamedTuple):
    """Numbers for the terminal, and how to read them."""

    sentence: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    finding: str = ""  # what they say, in a sentence


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it."""

    title: str
    blocks: tuple[str | Picture, ...]  # in the order of reading; a table is `markdown_table(...)`
    short: Short | None = None  # what the terminal shows
    # What the run's folder is to hold beside the report: file name, and what writes it to a path.
    saves: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)


def by_layer(
    sentence: str,
    scores: Mapping[str, float],
    layers: Sequence[str],
    lines: Sequence[tuple[str, str, str]],  # what a row is called, its score with {} for the layer,
    # and how its numbers are written, see `short_number`
    findings: Sequence[str] = (),  # {layer} is the last one, {0} the number of the first line there
) -> Short:
    """Scores over depth: a column for each layer. A row without any number is left out.

    What is found is the first of the sentences whose numbers are all there.

    >>> scores = {"cka/relu1": 0.91234, "cka/relu2": 0.5}
    >>> lines = [("CKA", "cka/{}", ".3f")]
    >>> short = by_layer("1 is best.", scores, ["relu1", "relu2"], lines, ["At {layer} it is {0}."])
    >>> short.rows, short.finding
    ([['CKA', '0.912', '0.500']], 'At relu2 it is 0.500.')
    """
    rows = []
    for name, key, form in lines:
        values = [scores.get(key.format(layer), math.nan) for layer in layers]
        if not all(map(math.isnan, values)):
            rows.append([name, *(short_number(value, form) for value in values)])
    last = [
        short_number(scores.get(key.format(layers[-1]), math.nan), form) for _, key, form in lines
    ]
    said = (one.format(*last, layer=layers[-1]) for one in findings)
    found = next((one for one in said if format_value(None) not in one), "")
    return Short(sentence, ["", *layers], rows, found)


def short_number(value: float, form: str) -> str:
    """A number in few letters; the form is Python's, but for "%", a share with one digit more.

    >>> short_number(0.98123, "%"), short_number(0.98123, ".2f"), short_number(float("nan"), "%")
    ('98.1 %', '0.98', 'n/a')
    """
    if math.isnan(value):
        return format_value(None)
    return f"{100 * value:.1f} %" if form == "%" else format(value, form)


@dataclass(frozen=True)
class ShortView:
    """What a terminal shows of answers: all rows if it is wide, else the first of each."""

    answers: Sequence[tuple[str, Short]]  # with their titles

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Tables, or lines of a few numbers where several answers share a narrow terminal."""
        width, count = options.max_width, len(self.answers)
        wide = width >= WIDE
        rows = 10_000 if wide else _ROWS if count == 1 else max(1, _LINES // count - 1)
        cut = False
        for title, short in self.answers:
            cut |= len(short.rows) > rows
            yield Text(title, style="bold")
            if wide or count == 1 or not short.rows:
                yield Text(short.sentence, style="italic")
            if not short.rows:
                continue
            if wide or count == 1:
                yield _table(short, rows, _LAYERS * (2 if wide else 1))
            else:
                yield from (_line(short, row, width) for row in short.rows[:rows])
        if cut:
            told = f"these are the first rows: a terminal of {WIDE} columns shows all"
            yield Text(told, style="dim")


def _table(short: Short, rows: int, columns: int) -> RenderableType:
    chosen = [0, *(1 + i for i in spaced(len(short.header) - 1, columns))]
    header = [short.header[i] for i in chosen]
    shown: list[Sequence[Any]] = [[row[i] for i in chosen] for row in short.rows[:rows]]
    return rich_table(shown, header, right=header[1:])


def _line(short: Short, row: Sequence[str], width: int) -> Text:
    """A row as words: what it is called, and some of its numbers, each with its column."""
    known = [f"{name} {cell}" for name, cell in zip(short.header[1:], row[1:], strict=True) if cell]
    for count in range(min(_COLUMNS, len(known)), 0, -1):
        numbers = ", ".join(known[i] for i in spaced(len(known), count))
        line = f"  {row[0].strip()}: {numbers}"
        if len(line) <= width:
            break
    return Text(line, no_wrap=True, overflow="ellipsis")
