"""Small charts side by side, one per layer, with one legend for all."""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor

from frankenstein.report.figure_values import name_points
from frankenstein.report.style import GREY, PALETTE, RC, legend_label, settled, to_array
from frankenstein.shapes import ShapeError

Values = ArrayLike | Tensor
_ACROSS = 4
_SIDE = 2.1  # of a panel, in inches
_DASHES = ("-", ":", "-.")


@rc_context(RC)
def line_panels(
    panels: Mapping[str, Mapping[str, tuple[Values, Values]]],  # panel: {series: (x, y)}
    x_label: str = "",
    y_label: str = "",
    steps: bool = False,  # whether y stands for the span from one x to the next, as in a histogram
    controls: Collection[str] = (),  # series in grey dashes
) -> Figure:
    """One line per series in every panel; each panel has its own scale.

    Raises:
        ShapeError: if there is no panel.
    """

    def draw(axes: Axes, points: tuple[Values, Values], i: int, name: str) -> None:
        x, y = map(to_array, points)
        axes.plot(
            x,
            y,
            label=legend_label(name),
            color=GREY if name in controls else PALETTE[i % len(PALETTE)],
            linestyle="--" if name in controls else _DASHES[i // len(PALETTE) % len(_DASHES)],
            linewidth=1.2,
            drawstyle="steps-post" if steps else "default",
        )

    return _panels(panels, draw, x_label, y_label)


@rc_context(RC)
def point_panels(
    panels: Mapping[str, Mapping[str, Values]],  # panel: {series: (N, 2)}
    x_label: str = "",
    y_label: str = "",
    names: Mapping[str, Mapping[str, Sequence[str]]] = {},  # {panel: {series: N names}}
    images: Mapping[str, Mapping[str, Tensor]] = {},  # {panel: {series: (N, K, C, H, W) uint8}}
) -> Figure:
    """One cloud of points per series in every panel; a point without a name has a number.

    A page shows the images of a point where it is clicked.

    Raises:
        ShapeError: if there is no panel.
    """
    markers = "o^sDvPX"

    def draw(axes: Axes, points: Values, i: int, name: str) -> None:
        x, y = to_array(points).T
        colour, marker = PALETTE[i % len(PALETTE)], markers[i % len(markers)]
        cloud = axes.scatter(
            x,
            y,
            s=9,
            label=legend_label(name),
            color=colour,
            marker=marker,
            alpha=0.65,
            linewidths=0,
        )
        own = names.get(axes.get_title(), {}).get(name)
        numbered = [f"{name} {place}" for place in range(len(x))]
        name_points(cloud, own or numbered, images.get(axes.get_title(), {}).get(name))

    return _panels(panels, draw, x_label, y_label)


def _panels(
    panels: Mapping[str, Mapping[str, object]],
    draw: Callable[..., None],
    x_label: str,
    y_label: str,
) -> Figure:
    if not panels:
        raise ShapeError("panels need at least one chart, got none")
    across = min(_ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(max(4.8, across * _SIDE + 0.6), down * _SIDE * 0.85 + 1.1))
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    for place, (panel, series) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(down, across, place)
        axes.set_title(panel, fontsize=8.5)
        for name, points in series.items():
            draw(axes, points, names.index(name), name)
        axes.tick_params(labelsize=6.5, length=2)
        axes.locator_params(nbins=4)
        axes.grid(True)
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if len(names) > 1:
        columns = min(len(names), max(1, int(figure.get_figwidth() / 1.6)))
        figure.legend(
            [handles[legend_label(name)] for name in names],
            [legend_label(name) for name in names],
            loc="outside upper center",
            ncols=columns,
            markerscale=1.5,
        )
    figure.supxlabel(x_label, fontsize=9)
    figure.supylabel(y_label, fontsize=9)
    return settled(figure)


def histogram_line(
    counts: Values,  # (B,)
    edges: Values,  # (B + 1,)
) -> tuple[np.ndarray, np.ndarray]:  # x and y for `line_panels(..., steps=True)`
    """Counts as densities, which integrate to 1, over their bins.

    >>> x, y = histogram_line([1, 3], [0.0, 1.0, 3.0])
    >>> x.tolist(), y.tolist()
    ([0.0, 1.0, 3.0], [0.25, 0.375, 0.375])
    """
    counts, edges = to_array(counts), to_array(edges)
    density = counts / max(counts.sum(), 1.0) / np.diff(edges)
    return edges, np.append(density, density[-1:])
