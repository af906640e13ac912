"""Columns of tables over numbers that are called `<what>/<row>`, each said once.

    Column("accuracy", "accuracy", "share of held-out images that are told right", percent=True)

One list of them makes the tables of a report, of the terminal, and says which numbers are shares.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
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
    return ends and f"{100 * numbers[f'{key}/{row}']:z.2f} ± {50 * (ends[1] - ends[0]):.2f}"


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


def markdown_columns(
    columns: Sequence[Column], numbers: Numbers, rows: Sequence[str] | Mapping[str, str]
) -> str:
    """A table for a report: the rows by name, and what there is of the columns.

    Of {row: what it is called} the table has these names.
    """
    cells, header, percent = _cells(columns, numbers, rows)
    return markdown_table(cells, header, percent)


def rich_columns(
    columns: Sequence[Column],
    numbers: Numbers,
    rows: Sequence[str] | Mapping[str, str],
    title: str | None = None,
) -> Table:
    """The same for the terminal."""
    cells, header, percent = _cells(columns, numbers, rows)
    # One word a line: rich would narrow numbers before it breaks a header.
    header, percent = ([name.replace(" ", "\n") for name in names] for names in (header, percent))
    return rich_table(cells, header, percent, title)


@dataclass(frozen=True)
class FittingTable:
    """As many of the columns, from the first on, as the terminal has room for."""

    columns: Sequence[Column]  # the most important first
    numbers: Numbers
    parts: Sequence[Mapping[str, str]]  # {row: what it is called}; a line stands between two parts

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The widest table that fits; at least the first column."""
        unbounded = options.update(width=10_000)
        for count in range(len(self.columns), 0, -1):
            table = self._table(self.columns[:count])
            wide = Measurement.get(console, unbounded, table).maximum
            if count == 1 or wide <= options.max_width:
                yield table
                return

    def _table(self, columns: Sequence[Column]) -> Table:
        rows = {row: name for part in self.parts for row, name in part.items()}
        table = rich_columns(columns, self.numbers, rows)
        table.columns[0].no_wrap = True
        last = 0
        for part in self.parts[:-1]:
            last += len(part)
            table.rows[last - 1].end_section = True
        return table


def _cells(
    columns: Sequence[Column], numbers: Numbers, rows: Sequence[str] | Mapping[str, str]
) -> tuple[list[list[Any]], list[str], list[str]]:
    there = filled_columns(columns, numbers)
    names = list(rows.values()) if isinstance(rows, Mapping) else rows
    cells = zip(names, *(column.of(numbers, [*rows]) for column in there), strict=True)
    header = ["", *(column.title for column in there)]
    return [[*row] for row in cells], header, [one.title for one in there if one.percent]
