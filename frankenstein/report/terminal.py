"""A layer x layer matrix as coloured cells on a terminal."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.style import Style
from rich.text import Text
from torch import Tensor

from frankenstein.report.matrices import checked_matrix
from frankenstein.report.style import ink_on
from frankenstein.report.tables import rich_table

_SHARED_ROWS = 5  # of a table below other things
_LEAST_ROWS = 4  # of each, where several matrices share the terminal
_ROWS, _ROWS_OF_WIDE, WIDE = 15, 32, 120  # rows of a terminal, of a wide one, and what is wide


def terminal_matrix(
    values: ArrayLike | Tensor,  # (R, C)
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float] = (0.0, 1.0),  # of the colours
    sharing: int = 1,  # how many matrices are shown one below the other
) -> "TerminalMatrix":
    """Something that `rich.print` shows: 0.97 where the terminal has room for it, else 97.

    Compact cells take three characters (26 layers fit in 120 columns) and number the columns. Of
    what does not fit into a screen, every second or third row and column is shown, and said so.

    Raises:
        ShapeError: if values are not one per row and column.
    """
    array = checked_matrix(values, rows, columns)
    return TerminalMatrix(array, tuple(rows), tuple(columns), limits, sharing)


@dataclass(frozen=True)
class TerminalMatrix:
    """The matrix, laid out when the width of the console is known."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    limits: tuple[float, float]
    sharing: int = 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Names over wide cells if they fit, else numbers over compact ones."""
        width, height = options.max_width, _ROWS if options.max_width < WIDE else _ROWS_OF_WIDE
        height = max(_LEAST_ROWS, height // self.sharing)
        roomy = max(5, *(len(name) for name in self.columns)) + 1
        label = max(len(name) for name in self.rows) + 1
        if label + roomy * len(self.columns) <= width:
            chosen = spaced(len(self.rows), height)
            yield from self._block(self.rows, self.columns, chosen, range(len(self.columns)), roomy)
            yield from self._left_out(chosen, self.columns)
            return
        # Hundredths in two digits would misstate what is larger than 1.
        side = 3 if np.nanmax(np.abs(self.values), initial=0.0) <= 1 else 7
        numbers = tuple(str(i + 1) for i in range(len(self.columns)))
        rows = self.rows
        if self.rows == self.columns:
            rows = tuple(f"{name} {n:>2}" for name, n in zip(self.rows, numbers, strict=True))
        label = max(len(name) for name in rows) + 1
        fit = max(1, (width - label) // side)
        chosen, across = spaced(len(rows), height), spaced(len(numbers), fit)
        if self.rows == self.columns:  # then the diagonal is the diagonal
            chosen = across = spaced(len(rows), min(height, fit))
        yield from self._block(rows, numbers, chosen, across, side)
        yield from self._left_out(chosen, across)
        if self.rows != self.columns:
            named = (f"{numbers[i]} {self.columns[i]}" for i in across)
            yield Text("columns: " + ", ".join(named), style="dim")
        if side == 3:
            yield Text("cells are hundredths: 97 is 0.97, 1. is 1.00", style="dim")

    def _left_out(self, rows: Sized, columns: Sized) -> Iterator[Text]:
        whole = (len(self.rows), len(self.columns))
        if (len(rows), len(columns)) != whole:
            said = (
                f"shown are {len(rows)} of {whole[0]} rows and {len(columns)} of {whole[1]} columns"
            )
            yield Text(said, style="dim")

    def _block(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        chosen: Sequence[int],
        across: Sequence[int],
        side: int,
    ) -> Iterator[Text]:
        label = max(len(name) for name in rows)
        head = "".join(columns[j].rjust(side) for j in across)
        yield Text(" " * label + head, style="bold", no_wrap=True)
        for i in chosen:
            line = Text(rows[i].rjust(label), no_wrap=True)
            for j in across:
                line.append(_cell(self.values[i, j], side), style=self._style(self.values[i, j]))
            yield line

    def _style(self, value: float) -> Style:
        if np.isnan(value):
            return Style(color="grey50")
        low, high = self.limits
        colours = colormaps["RdBu_r" if low == -high else "viridis"]
        share = float(np.clip((value - low) / (high - low), 0.0, 1.0))
        return Style(color=ink_on(colours(share)), bgcolor=to_hex(colours(share)))


@dataclass(frozen=True)
class FittingRows:
    """A table, of which a narrow terminal shows rows that are evenly spread, and the last one."""

    rows: Sequence[Sequence[Any]]
    header: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """All rows where there is much room."""
        fit = len(self.rows) if options.max_width >= WIDE else _SHARED_ROWS
        chosen = spaced(len(self.rows), fit)
        yield rich_table([self.rows[i] for i in chosen], self.header)
        if len(chosen) < len(self.rows):
            yield Text(f"shown are {len(chosen)} of {len(self.rows)} rows", style="dim")


def spaced(count: int, most: int) -> list[int]:
    """Of so many places at most so many, one like the other apart, the first and the last.

    >>> spaced(5, 9), spaced(26, 6), spaced(3, 1)
    ([0, 1, 2, 3, 4], [0, 5, 10, 15, 20, 25], [0])
    """
    if count <= most:
        return [*range(count)]
    return [round(i * (count - 1) / max(1, most - 1)) for i in range(most)]


def _cell(value: float, side: int) -> str:
    if np.isnan(value):
        return ("·" if side == 3 else "n/a").rjust(side)
    if side > 3:
        text = f"{value:z.2f}" if abs(value) < 100 else f"{value:.3g}"
        return text.replace("-0.00", "0.00").rjust(side)
    hundredths = round(100 * value)
    return ("1." if hundredths == 100 else "-1." if hundredths == -100 else str(hundredths)).rjust(
        3
    )
