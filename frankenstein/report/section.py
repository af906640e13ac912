"""One question's part of a report, and what the terminal shows of its answer."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.text import Text

from frankenstein.report.document import Picture
from frankenstein.report.tables import format_value, rich_table

_LAYERS = 5  # at most, spread evenly from the first to the last: 80 columns hold them


class Short(NamedTuple):
    """A few rows, and how to read them."""

    sentence: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


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
) -> Short:
    """Scores over depth: a column for each of some layers. A row without any number is left out.

    >>> scores = {"cka/relu1": 0.91234, "cka/relu2": 0.5}
    >>> by_layer("1 is best.", scores, ["relu1", "relu2"], [("CKA", "cka/{}", ".3f")]).rows
    [['CKA', '0.912', '0.500']]
    """
    last = len(layers) - 1
    steps = min(last, _LAYERS - 1)
    some = [layers[round(i * last / max(1, steps))] for i in range(steps + 1)]
    rows = []
    for name, key, form in lines:
        values = [scores.get(key.format(layer), math.nan) for layer in some]
        if not all(map(math.isnan, values)):
            rows.append([name, *(short_number(value, form) for value in values)])
    return Short(sentence, ["", *some], rows)


def short_number(value: float, form: str) -> str:
    """A number in few letters; the form is Python's, but for "%", a share with one digit more.

    >>> short_number(0.98123, "%"), short_number(0.98123, ".2f"), short_number(float("nan"), "%")
    ('98.1 %', '0.98', 'n/a')
    """
    if math.isnan(value):
        return format_value(None)
    return f"{100 * value:.1f} %" if form == "%" else format(value, form)


def short_view(title: str, short: Short) -> RenderableType:
    """The rows under a title and the sentence that says how to read them."""
    rows: list[Sequence[Any]] = [*short.rows]
    table = rich_table(rows, short.header, right=short.header[1:])
    table.box, table.pad_edge = box.SIMPLE_HEAD, False
    return Group(Text(title, style="bold"), Text(short.sentence, style="italic"), table)
