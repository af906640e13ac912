"""A layer x layer matrix as coloured cells on a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from numpy.typing import ArrayLike, NDArray
from rich.console import Console, ConsoleOptions
from rich.style import Style
from rich.text import Text
from torch import Tensor

from frankenstein.report.matrices import checked_matrix
from frankenstein.report.style import ink_on


def terminal_matrix(
    values: ArrayLike | Tensor,  # (R, C)
    rows: Sequence[str],
    columns: Sequence[str],
    limits: tuple[float, float] = (0.0, 1.0),  # of the colours
) -> "TerminalMatrix":
    """Something that `rich.print` shows: 0.97 where the terminal has room for it, else 97.

    Compact cells take three characters (26 layers fit in 120 columns) and number the columns; a
    matrix that is wider still is continued below.

    Raises:
        ShapeError: if values are not one per row and column.
    """
    array = checked_matrix(values, rows, columns)
    return TerminalMatrix(array, tuple(rows), tuple(columns), limits)


@dataclass(frozen=True)
class TerminalMatrix:
    """The matrix, laid out when the width of the console is known."""

    values: NDArray[np.float64]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    limits: tuple[float, float]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Names over wide cells if they fit, else numbers over compact ones."""
        roomy = max(5, *(len(name) for name in self.columns)) + 1
        label = max(len(name) for name in self.rows) + 1
        if label + roomy * len(self.columns) <= options.max_width:
            yield from self._block(self.rows, self.columns, slice(None), roomy)
            return
        # Hundredths in two digits would misstate what is larger than 1.
        side = 3 if np.nanmax(np.abs(self.values), initial=0.0) <= 1 else 7
        numbers = tuple(str(i + 1) for i in range(len(self.columns)))
        rows = self.rows
        if self.rows == self.columns:
            rows = tuple(f"{name} {n:>2}" for name, n in zip(self.rows, numbers, strict=True))
        label = max(len(name) for name in rows) + 1
        fit = max(1, (options.max_width - label) // side)
        blocks = -(-len(numbers) // fit)
        for part in np.array_split(np.arange(len(numbers)), blocks):
            yield from self._block(rows, numbers, slice(part[0], part[-1] + 1), side)
        if self.rows != self.columns:
            named = (f"{n} {name}" for n, name in zip(numbers, self.columns, strict=True))
            yield Text("columns: " + ", ".join(named), style="dim")
        if side == 3:
            yield Text("cells are hundredths: 97 is 0.97, 1. is 1.00", style="dim")

    def _block(
        self, rows: Sequence[str], columns: Sequence[str], part: slice, side: int
    ) -> Iterator[Text]:
        label = max(len(name) for name in rows)
        head = "".join(name.rjust(side) for name in columns[part])
        yield Text(" " * label + head, style="bold", no_wrap=True)
        for name, values in zip(rows, self.values[:, part], strict=True):
            line = Text(name.rjust(label), no_wrap=True)
            for value in values:
                line.append(_cell(value, side), style=self._style(value))
            yield line

    def _style(self, value: float) -> Style:
        if np.isnan(value):
            return Style(color="grey50")
        low, high = self.limits
        colours = colormaps["RdBu_r" if low == -high else "viridis"]
        share = float(np.clip((value - low) / (high - low), 0.0, 1.0))
        return Style(color=ink_on(colours(share)), bgcolor=to_hex(colours(share)))


def _cell(value: float, side: int) -> str:
    if np.isnan(value):
        return ("·" if side == 3 else "n/a").rjust(side)
    if side > 3:
        text = f"{value:.2f}" if abs(value) < 100 else f"{value:.3g}"
        return text.replace("-0.00", "0.00").rjust(side)
    hundredths = round(100 * value)
    return ("1." if hundredths == 100 else "-1." if hundredths == -100 else str(hundredths)).rjust(
        3
    )
