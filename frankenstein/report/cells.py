"""A matrix as inline SVG: it can be touched where there is a script, and is whole without one."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from frankenstein.report.matrices import checked_matrix
from frankenstein.report.style import ink_on, to_array

MOST_CELLS = 4096  # of a matrix that is inline; a larger one is a picture
_SIDE, _SMALL, _FEW = 30, 15, 24  # pixels of a cell; of one of a matrix with more than _FEW names
_LETTER = 6  # pixels of a digit in a cell
_WIDE_LETTER = 0.62  # of a monospaced font, over its size
_FONT = 11
_BAR = 12  # the width of the colour bar, in pixels


@dataclass(frozen=True)
class CellMatrix:
    """The numbers of a matrix, and what is known beside each: all that a page shows of it."""

    values: ArrayLike | Tensor  # (R, C)
    rows: Sequence[str]
    columns: Sequence[str]
    limits: tuple[float, float]  # of the colours
    measure: str  # what the numbers are
    kind: str = "value"  # which of several matrices of that measure it is
    row_label: str = "sender"
    column_label: str = "receiver"
    low: ArrayLike | Tensor | None = None  # (R, C), ends of the 95 % intervals
    high: ArrayLike | Tensor | None = None
    null: ArrayLike | Tensor | None = None  # (R, C), what shuffled examples give
    command: str = ""  # how to look at one pair: {row} and {column} are filled in

    @property
    def array(self) -> NDArray[np.float64]:
        """The values, (R, C); NaN where there is none.

        Raises:
            ShapeError: if they are not one per row and column.
        """
        return checked_matrix(self.values, self.rows, self.columns)

    @property
    def fits(self) -> bool:
        """Whether a page can hold each cell."""
        return len(self.rows) * len(self.columns) <= MOST_CELLS


def cells_of(figure: Figure) -> CellMatrix | None:
    """The matrix that a heatmap shows; None of another figure."""
    if (known := getattr(figure, "matrix", None)) is None:
        return None
    array, rows, columns, limits, title, row_label, column_label = known
    return CellMatrix(
        array, rows, columns, limits, title, row_label=row_label, column_label=column_label
    )


def cells_svg(cells: CellMatrix, alternative: str) -> str:
    """The matrix drawn: cells with their numbers where these fit, names that are never clipped."""
    array, (low, high) = cells.array, cells.limits
    many = max(array.shape) > _FEW
    longest = 0 if many else max(len(_short(value)) for value in array.flat)
    side = _SMALL if many else max(_SIDE, round(longest * _LETTER) + 6)
    left = 24 + _letters(cells.rows)
    wide = array.shape[1] * side
    turned = max(map(len, cells.columns)) * _WIDE_LETTER * _FONT > side
    bottom = 28 + (_letters(cells.columns) if turned else _FONT + 8)
    tall = array.shape[0] * side
    width, height = left + wide + 3 * _BAR + 48, 8 + tall + bottom
    parts = [
        f'<svg class="cells" role="img" aria-label="{escape(alternative)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
        f'<g class="names" transform="translate({left:.0f} 8)">',
    ]
    for i, name in enumerate(cells.rows):
        y = (i + 0.5) * side
        parts.append(f'<text class="row" x="-6" y="{y:g}" dy=".35em">{escape(name)}</text>')
    for j, name in enumerate(cells.columns):
        x, y = (j + 0.5) * side, tall + 6
        turn = f' transform="rotate(-90 {x:g} {y})"' if turned else ""
        place = f'x="{x:g}" y="{y}" dy="{".35em" if turned else "1em"}"'
        kind = "row" if turned else "middle"
        parts.append(f'<text class="{kind}" {place}{turn}>{escape(name)}</text>')
    parts += [
        f'<text class="middle label" x="{wide / 2:g}" y="{tall + bottom - 12:.0f}">'
        f"{escape(cells.column_label)}</text>",
        f'<text class="middle label" transform="translate({16 - left:.0f} {tall / 2:g}) '
        f'rotate(-90)">{escape(cells.row_label)}</text>',
        "</g>",
        f'<g class="grid" data-side="{side}" transform="translate({left:.0f} 8)">',
    ]
    colours = _colours(array, cells.limits)
    for i, j in np.ndindex(array.shape):
        place = f'x="{j * side}" y="{i * side}" width="{side}" height="{side}"'
        parts.append(f'<rect {place} fill="{colours[i][j]}"/>')
    if not many:
        for (i, j), value in np.ndenumerate(array):
            ink = ink_on(colours[i][j])
            place = f'x="{(j + 0.5) * side:g}" y="{(i + 0.5) * side:g}"'
            parts.append(f'<text {place} dy=".35em" fill="{ink}">{_short(value)}</text>')
    parts.append("</g>")
    parts += _bar(left + wide + _BAR, min(tall, 240), low, high)
    return "".join(parts) + "</svg>"


def svg_file(drawn: str) -> str:
    """The same as a file of its own, in black on white."""
    style = (
        "text{font:11px monospace}.row{text-anchor:end}.middle,.grid text{text-anchor:middle}"
        ".grid text{font-size:10px}svg{background:white}"
    )
    head, _, rest = drawn.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{style}</style>{rest}\n'


def cells_json(cells: CellMatrix) -> str:
    """All numbers for the page's script, safe inside HTML and XML."""
    known = {"low": cells.low, "high": cells.high, "null": cells.null}
    told: dict[str, Any] = {
        "measure": cells.measure,
        "kind": cells.kind,
        "rows": list(cells.rows),
        "columns": list(cells.columns),
        "sides": [cells.row_label, cells.column_label],
        "limits": list(cells.limits),
        "command": cells.command,
        "values": _rounded(cells.array),
        **{name: _rounded(to_array(part)) for name, part in known.items() if part is not None},
    }
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def cells_csv(cells: CellMatrix) -> str:
    """Every digit of the values, with their names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"{cells.row_label} \\ {cells.column_label}", *cells.columns])
    for name, row in zip(cells.rows, cells.array.tolist(), strict=True):
        writer.writerow([name, *map(repr, row)])
    return text.getvalue()


def _colours(array: NDArray[np.float64], limits: tuple[float, float]) -> list[list[str]]:
    low, high = limits
    scale = colormaps["RdBu_r" if low == -high else "viridis"]
    shares = np.clip((array - low) / ((high - low) or 1.0), 0.0, 1.0)
    return [["#bfbfbf" if np.isnan(one) else to_hex(scale(one)) for one in row] for row in shares]


def _bar(x: float, tall: float, low: float, high: float) -> list[str]:
    """The colours from the highest down, with the numbers at both ends."""
    steps = 24
    heights = np.linspace(high, low, steps)[:, None]
    parts = [f'<g class="bar" transform="translate({x:.0f} 8)">']
    for i, (colour,) in enumerate(_colours(heights, (low, high))):
        y = i * tall / steps
        parts.append(
            f'<rect x="0" y="{y:.2f}" width="{_BAR}" height="{tall / steps + 0.5:.2f}" '
            f'fill="{colour}"/>'
        )
    for y, value in ((8, high), (tall, low)):
        parts.append(f'<text class="end" x="{_BAR + 4}" y="{y:.0f}">{_short(value)}</text>')
    return [*parts, "</g>"]


def _letters(names: Sequence[str]) -> float:
    """Pixels that the longest name takes."""
    return max(map(len, names)) * _WIDE_LETTER * _FONT + 8


def _short(value: float) -> str:
    if np.isnan(value):
        return "n/a"
    return f"{value:z.2f}" if abs(value) < 100 else f"{value:.3g}"


def _rounded(array: NDArray[np.float64]) -> list[list[float | None]]:
    """Five significant digits; JSON has no NaN."""
    return [[None if np.isnan(one) else float(f"{one:.5g}") for one in row] for row in array]
