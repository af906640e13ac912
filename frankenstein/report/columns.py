"""Columns of tables over numbers that are called `<what>/<row>`, each said once.

    Column("accuracy", "accuracy", "share of held-out images that are told right", percent=True)

One list of them makes the tables of a report, of the terminal, and says which numbers are shares.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from frankenstein.report.tables import interval_text, markdown_table, rich_table

Numbers = Mapping[str, float]
Cell = Callable[[Numbers, str, str], Any]  # of the numbers, a column's key and a row


def value_cell(numbers: Numbers, key: str, row: str) -> float | None:
    """The number itself; None where a row has none."""
    return numbers.get(f"{key}/{row}")


def interval_cell(numbers: Numbers, key: str, row: str) -> str | None:
    """The ends of a share's interval, which lie beside it under `<key>_low` and `<key>_high`."""
    ends = ends_of(numbers, key, row)
    return ends and interval_text(*ends)


def difference_cell(numbers: Numbers, key: str, row: str) -> str | None:
    """The same of a difference of shares, with signs."""
    ends = ends_of(numbers, key, row)
    return ends and interval_text(*ends, signed=True)


def margin_cell(numbers: Numbers, key: str, row: str) -> str | None:
    """A share in per cent, and half the width of its interval."""
    ends = ends_of(numbers, key, row)
    return ends and f"{100 * numbers[f'{key}/{row}']:.2f} ± {50 * (ends[1] - ends[0]):.2f}"


def ends_of(numbers: Numbers, key: str, row: str) -> tuple[float, float] | None:
    """The ends of an interval, if there is one."""
    low, high = (numbers.get(f"{key}_{end}/{row}") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class Column:
    """What a table shows of every row."""

    key: str  # of its numbers: what stands before the slash
    title: str
    about: str = ""  # how it is read, for a report
    percent: bool = False  # a share
    page: str | None = None  # the table of the report that it is in
    terminal: str | None = None  # the table of the terminal
    cell: Cell = value_cell

    def of(self, numbers: Numbers, rows: Sequence[str]) -> list[Any]:
        """Its cells."""
        return [self.cell(numbers, self.key, row) for row in rows]


def filled_columns(columns: Sequence[Column], numbers: Numbers) -> list[Column]:
    """Those of which there is any number."""
    keys = {key.partition("/")[0] for key in numbers}
    return [column for column in columns if column.key in keys]


def markdown_columns(columns: Sequence[Column], numbers: Numbers, rows: Sequence[str]) -> str:
    """A table for a report: the rows by name, and what there is of the columns."""
    cells, header, percent = _cells(columns, numbers, rows)
    return markdown_table(cells, header, percent)


def rich_columns(
    columns: Sequence[Column], numbers: Numbers, rows: Sequence[str], title: str | None = None
) -> Table:
    """The same for the terminal."""
    cells, header, percent = _cells(columns, numbers, rows)
    # One word a line: rich would narrow numbers before it breaks a header.
    header, percent = ([name.replace(" ", "\n") for name in names] for names in (header, percent))
    return rich_table(cells, header, percent, title)


def _cells(
    columns: Sequence[Column], numbers: Numbers, rows: Sequence[str]
) -> tuple[list[list[Any]], list[str], list[str]]:
    there = filled_columns(columns, numbers)
    cells = zip(rows, *(column.of(numbers, rows) for column in there), strict=True)
    header = ["", *(column.title for column in there)]
    return [[*row] for row in cells], header, [one.title for one in there if one.percent]
