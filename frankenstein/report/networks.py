"""Networks to each other as pictures: a map of two axes, and a tree of who joins whom."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import dendrogram
from torch import Tensor

from frankenstein.report.figure_values import name_points
from frankenstein.report.style import PALETTE, RC, legend_label, settled, to_array, wrapped
from frankenstein.shapes import ShapeError

_MARKS = "osD^vP*X"
_NAMED = 40  # networks whose points have names


@rc_context(RC)
def network_map(
    points: ArrayLike | Tensor,  # (K, 2)
    names: Sequence[str],
    groups: Sequence[str] = (),  # of each network, in its own colour; none if absent
    title: str = "",
    pages: Mapping[str, str] = {},  # addresses of pages, by name: a click goes there
) -> Figure:
    """Networks as points, near where they are alike; equal steps on both axes.

    Raises:
        ShapeError: if there is not one point for each name.
    """
    array = to_array(points)
    if array.shape != (len(names), 2):
        raise ShapeError(f"a map has one point (x, y) a network, got shape {array.shape}")
    figure = Figure(figsize=(6.4, 5.0))
    axes = figure.add_subplot()
    groups = groups or [""] * len(names)
    for number, group in enumerate(dict.fromkeys(groups)):
        chosen = [i for i, one in enumerate(groups) if one == group]
        cloud = axes.scatter(
            array[chosen, 0],
            array[chosen, 1],
            color=PALETTE[number % len(PALETTE)],
            marker=_MARKS[number // len(PALETTE) % len(_MARKS)],
            label=legend_label(group),
        )
        own = [names[i] for i in chosen]
        name_points(cloud, own, pages=[pages.get(name, "") for name in own])
    if len(names) <= _NAMED:
        middle = (np.nanmin(array[:, 0]) + np.nanmax(array[:, 0])) / 2
        for (x, y), name in zip(array, names, strict=True):
            away, side = (-4, "right") if x > middle else (4, "left")  # inwards: none is clipped
            axes.annotate(
                name, (x, y), (away, 4), textcoords="offset points", ha=side, fontsize=7.5
            )
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.15)
    axes.grid(True)
    axes.set_title(wrapped(title, figure.get_figwidth()))
    if len(set(groups)) > 1:
        figure.legend(loc="outside right upper")
    return settled(figure)


@rc_context(RC)
def network_tree(
    tree: NDArray[np.float64],  # (K - 1, 4), as SciPy's linkage
    names: Sequence[str],
    label: str,  # of the axis: what is measured
    title: str = "",
) -> Figure:
    """Who joins whom, and at which distance."""
    figure = Figure(figsize=(6.4, 1.2 + 0.2 * len(names)))
    axes = figure.add_subplot()
    dendrogram(
        tree,
        ax=axes,
        orientation="left",
        labels=list(names),
        color_threshold=0,
        above_threshold_color=PALETTE[0],
        leaf_font_size=8,
    )
    axes.invert_yaxis()  # the first leaf above, as in the matrix
    axes.set_xlabel(label)
    axes.spines[["left"]].set_visible(False)
    axes.set_title(wrapped(title, figure.get_figwidth()))
    return settled(figure)
