"""Matrices as pictures: layers against layers, and the weights of a stitch."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from frankenstein.report.style import DIGIT, POINTS, RC, ink_on, settled, to_array, wrapped
from frankenstein.shapes import ShapeError

_DOTS = 1000  # of a picture along an axis, about


@rc_context(RC)
def heatmap(
    values: ArrayLike | Tensor,  # (R, C)
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
    row_label: str = "",
    column_label: str = "",
    limits: tuple[float, float] | None = (0.0, 1.0),
    side: float | None = None,  # of a cell, in inches
) -> Figure:
    """A coloured matrix with its numbers, where they fit; what is not finite is a grey cell.

    Limits symmetric about zero get diverging colours; `None` takes the smallest and largest value.
    Values outside the limits show as a pointed end of the colour bar.

    Raises:
        ShapeError: if values are not one per row and column.
    """
    array = checked_matrix(values, rows, columns)
    side = side or min(0.75, max(8.0 / max(array.shape), 0.18))
    height, width = (min(11.0, max(1.5, n * side)) for n in array.shape)
    margin = max(len(name) for name in (*rows, *columns)) * 0.07
    limits = colour_range(array) if limits is None else limits
    figure, axes, image = _drawn(array, limits, (height, width), margin, title)
    axes.set(xlabel=column_label, ylabel=row_label)
    _name_ticks(axes, rows, columns, height, width)
    _write_cells(axes, array, image, min(height / array.shape[0], width / array.shape[1]))
    # For a page, which draws the cells so that they can be touched.
    told = title, row_label, column_label
    figure.matrix = array, tuple(rows), tuple(columns), limits, *told  # type: ignore[attr-defined]
    return settled(figure)


def unit_correlations(
    values: ArrayLike | Tensor,  # (D, E), of unit i of one with unit j of the other
    row_label: str,
    column_label: str,
) -> Figure:
    """Units of one representation against units of another, by their correlations.

    Raises:
        ShapeError: if values are no matrix.
    """
    array = to_array(values)
    rows, columns = ([str(i) for i in range(size)] for size in array.shape)
    title = "correlation of units over held-out images"
    return heatmap(array, rows, columns, title, row_label, column_label, limits=(-1, 1))


@rc_context(RC)
def weight_matrix(
    weight: ArrayLike | Tensor,  # (out, in)
    title: str = "",
    limit: float | None = None,
) -> Figure:
    """A stitch's matrix: red adds, blue subtracts, white is zero.

    Of weights that would share a dot the one of largest magnitude is shown.
    Give a `limit` to keep one scale over the frames of a film; else it is the largest magnitude.

    Raises:
        ShapeError: if the weight is not a matrix.
    """
    array = to_array(weight)
    if array.ndim != 2 or array.size == 0:
        raise ShapeError(
            f"a weight matrix is (out, in), got shape {array.shape}; flatten a 1x1 kernel first"
        )
    shape, array = array.shape, _coarse(array)
    if limit is None:
        limit = float(np.abs(array[np.isfinite(array)]).max(initial=0.0)) or 1.0
    height, width = (min(5.5, max(1.5, n * 0.25)) for n in shape)
    figure, axes, image = _drawn(array, (-limit, limit), (height, width), 0.2, title)
    image.set_extent((-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5))
    axes.set(xlabel="source unit", ylabel="target unit")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    return settled(figure)


def checked_matrix(
    values: ArrayLike | Tensor, rows: Sequence[str], columns: Sequence[str]
) -> NDArray[np.float64]:
    """The values as an array, once it is sure that each has its row's and its column's name."""
    array = to_array(values)
    if array.shape != (len(rows), len(columns)) or array.size == 0:
        raise ShapeError(
            f"values must be one per row and column, got shape {array.shape} for {len(rows)} rows "
            f"and {len(columns)} columns; name every layer once"
        )
    return array


def _drawn(
    array: NDArray[np.float64],
    limits: tuple[float, float],
    size: tuple[float, float],  # of the matrix: height and width in inches
    margin: float,  # for the ticks' names, in inches
    title: str,
) -> tuple[Figure, Axes, AxesImage]:
    """The coloured cells with a colour bar and a title, in a figure that has room for them."""
    (low, high), (height, width) = limits, size
    figure = Figure(figsize=(width + margin + 1.4, height + margin + 0.9))
    axes = figure.add_subplot()
    square = np.isclose(height / array.shape[0], width / array.shape[1])
    image = axes.imshow(
        np.ma.masked_invalid(array),
        cmap=colormaps["RdBu_r" if low == -high else "viridis"].with_extremes(bad="0.75"),
        vmin=low,
        vmax=high,
        aspect="equal" if square else "auto",
        interpolation="nearest",  # one weight among zeros must not fade into its neighbours
    )
    below, above = np.nanmin(array, initial=low) < low, np.nanmax(array, initial=high) > high
    extend = "both" if below and above else "min" if below else "max" if above else "neither"
    figure.colorbar(image, ax=axes, extend=extend, pad=0.02, aspect=30, fraction=0.05)
    axes.spines[:].set_visible(False)
    axes.set_title(wrapped(title, figure.get_figwidth()))
    return figure, axes, image


def _coarse(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """No more cells than a picture has dots: the one of largest magnitude of each block."""
    for axis in (0, 1):
        step = -(-array.shape[axis] // _DOTS)
        if step > 1:
            starts = range(0, array.shape[axis], step)
            low, high = (f.reduceat(array, starts, axis) for f in (np.minimum, np.maximum))
            array = np.where(-low > high, low, high)
    return array


def colour_range(values: ArrayLike | Tensor) -> tuple[float, float]:
    """Limits of colours: the smallest and the largest finite value; (0, 1) if there is none."""
    array = to_array(values)
    known = array[np.isfinite(array)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    return (low, high) if low < high else (low, low + 1.0)


def _name_ticks(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], height: float, width: float
) -> None:
    """Names as large as they can be; every second or third where even small ones would touch."""
    size = 8.0 if max(len(rows), len(columns)) <= 30 else 6.5
    line = 1.25 * size / POINTS
    every = max(1, int(np.ceil(line * len(rows) / height)))
    axes.set_yticks(range(0, len(rows), every), rows[::every], fontsize=size)
    every = max(1, int(np.ceil(line * len(columns) / width)))
    longest = max(len(name) for name in columns) * DIGIT * size / POINTS
    turn = 0 if longest < 0.9 * width / len(columns) else 90
    axes.set_xticks(range(0, len(columns), every), columns[::every], fontsize=size, rotation=turn)
    axes.tick_params(length=2)


def _write_cells(axes: Axes, array: NDArray[np.float64], image: AxesImage, side: float) -> None:
    """Numbers in cells, as one collection of outlines: hundreds of texts take seconds to draw."""
    texts = [_cell(value) for value in array.flat]
    longest = max(map(len, texts))
    size = min(9.0, 0.86 * side * POINTS / (DIGIT * longest))
    if size < 5.5:
        return
    outlines = {text: _outline(text, size) for text in dict.fromkeys(texts)}
    colours = image.to_rgba(array).reshape(-1, 4)
    values = zip(array.flat, colours, strict=True)
    rows, columns = np.indices(array.shape)
    numbers = PathCollection(
        [outlines[text] for text in texts],
        offsets=np.stack([columns.ravel(), rows.ravel()], 1),
        offset_transform=axes.transData,
        facecolors=["0.35" if np.isnan(value) else ink_on(colour) for value, colour in values],
        linewidths=0,
    )
    numbers.set_transform(Affine2D().scale(1 / POINTS) + axes.figure.dpi_scale_trans)
    numbers.set_label(" ".join(texts))
    numbers.set_in_layout(False)  # each lies inside its cell
    axes.add_collection(numbers, autolim=False)


def _outline(text: str, size: float) -> Path:
    """The outline of a text, about its middle, in points."""
    path = TextPath((0, 0), text, size, prop=FontProperties(family=RC["font.family"]))
    middle = (path.vertices.min(0) + path.vertices.max(0)) / 2
    return Path(path.vertices - middle, path.codes)


def _cell(value: float) -> str:
    if np.isnan(value):
        return "n/a"
    return f"{value:z.2f}" if abs(value) < 100 else f"{value:.3g}"
