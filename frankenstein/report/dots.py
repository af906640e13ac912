"""Rows of one number each with its interval, one below the other, in groups that have a colour."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from frankenstein.report.style import PALETTE, RC, legend_label, settled
from frankenstein.shapes import ShapeError

_COLOURS = (*PALETTE[:3], "#777777")
_DASHES = (":", "--", "-.")


class Dot(NamedTuple):
    """A share, the ends of its interval, and the group that it belongs to."""

    value: float
    low: float
    high: float
    group: str


@rc_context(RC)
def dots(
    rows: Mapping[str, Dot],  # from top to bottom
    groups: Sequence[str],
    lines: Mapping[str, float],  # name: share that rows are compared with
    x_label: str,
) -> Figure:
    """A dot and its interval for every row, with its number at the right; lines across all.

    Raises:
        ShapeError: if there is no row.
    """
    if not rows:
        raise ShapeError("dots need at least one row, got none")
    figure = Figure(figsize=(6.4, 1.4 + 0.21 * len(rows)))
    axes = figure.add_subplot()
    for i, group in enumerate(groups):
        own = [(y, dot) for y, dot in enumerate(rows.values()) if dot.group == group]
        if not own:
            continue
        values, places = np.array([dot.value for _, dot in own]), [y for y, _ in own]
        sides = [values - [dot.low for _, dot in own], [dot.high for _, dot in own] - values]
        axes.errorbar(
            values,
            places,
            xerr=np.clip(sides, 0, None),
            fmt="os^D"[i % 4],
            label=legend_label(group),
            color=_COLOURS[i % len(_COLOURS)],
            markersize=4,
            capsize=2,
            linewidth=1.1,
        )
    for i, (name, share) in enumerate(lines.items()):
        label = f"{name} {100 * share:.1f} %"
        dashes = _DASHES[i % len(_DASHES)]
        axes.axvline(share, color="black", linestyle=dashes, linewidth=1, label=label, zorder=0)
    axes.set_yticks(range(len(rows)), list(rows))
    for y, dot in enumerate(rows.values()):
        axes.text(
            1.01,
            y,
            f"{100 * dot.value:.1f}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    axes.set(xlabel=x_label, ylim=(len(rows) - 0.4, -0.6))
    # From 0, as far as the largest goes and no further than there can be.
    highest = max([*lines.values(), *(dot.high for dot in rows.values())])
    axes.set_xlim(0, min(1.02, 1.08 * highest) or 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(True)
    figure.legend(loc="outside lower center", ncols=1)
    return settled(figure)
