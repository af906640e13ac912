"""Groups of runs beside each other: every run a dot, their mean and how far it can be trusted."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from frankenstein.report.style import PALETTE, RC, settled, wrapped
from frankenstein.shapes import ShapeError

_NAME = 34  # letters of a group's name on one line


@rc_context(RC)
def intervals(
    values: Mapping[str, Sequence[float]],  # group: a value for each run
    means: Mapping[str, tuple[float, float]],  # group: mean, and half the width of its interval
    title: str = "",
    percent: bool = False,
) -> Figure:
    """A row for each group, from top to bottom; a margin that is not finite is not drawn.

    Raises:
        ShapeError: if a group has no mean, or there is none.
    """
    if not values or set(values) != set(means):
        raise ShapeError(f"every group needs its mean, got {list(values)} and {list(means)}")
    names = [textwrap.fill(name, _NAME) for name in values]
    lines = sum(name.count("\n") + 1 for name in names)
    figure = Figure(figsize=(6.4, 1.0 + 0.2 * lines + 0.16 * len(names)))
    axes = figure.add_subplot()
    for row, (group, runs) in enumerate(values.items()):
        mean, margin = means[group]
        axes.plot(runs, np.full(len(runs), row), "o", color=PALETTE[0], alpha=0.45, markersize=4)
        if np.isfinite(margin):
            axes.errorbar(mean, row, xerr=margin, color=PALETTE[1], capsize=3, linewidth=1.4)
            axes.plot(mean, row, "|", color=PALETTE[1], markersize=11, markeredgewidth=2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(True, axis="x")
    axes.margins(x=0.06)
    if percent:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_title(wrapped(title, figure.get_figwidth()))
    return settled(figure)
