"""Means over a layer or a number in their intervals: the figure for a paper, and its numbers."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from frankenstein.report.charts import name_ticks
from frankenstein.report.style import PALETTE, RC, legend_label, settled, to_array

_DASHES = ("-", "--", ":", "-.")
_MARKERS = "oxs^"
_ASIDE = 0.08  # between two series at one x


class Band(NamedTuple):
    """A series: means, the ends of their intervals (NaN of none), and how many each is over."""

    x: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    n: Sequence[int]
    colour: int = 0  # series of one kind have one
    dashes: int = 0  # 0 is a line without gaps


@rc_context(RC)
def bands(
    series: Mapping[str, Band],
    references: Mapping[str, float] = {},  # name: a height that is the same everywhere
    x_label: str = "",
    y_label: str = "",
    ticks: Sequence[str] = (),  # what x = 0, 1, ... are called
    percent: bool = False,
    note: str = "",  # over the legend
    ordered: bool = True,  # whether one x follows another; else there are points and no lines
) -> Figure:
    """A line for each series in the band of its intervals, and a thin line for each reference.

    Where x has no order, points beside each other, with bars.
    """
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_subplot()
    for place, (name, one) in enumerate(series.items()):
        if ordered:
            _band(axes, name, one)
        else:
            _points(axes, name, one, _ASIDE * (place - (len(series) - 1) / 2))
    for i, (name, height) in enumerate(references.items()):
        dashes = _DASHES[(i + 2) % len(_DASHES)]
        axes.axhline(height, color="black", linestyle=dashes, linewidth=1, label=legend_label(name))
    axes.grid(True)
    if ticks:
        x_label = name_ticks(figure, axes, ticks, x_label)
    axes.set(xlabel=x_label, ylabel=y_label)
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    if len(series) + len(references) > 1 or note:
        legend = figure.legend(loc="outside right upper", title=note or None, alignment="left")
        legend.get_title().set_fontsize(RC["legend.fontsize"])
    return settled(figure)


def _band(axes: Axes, name: str, one: Band) -> None:
    colour = PALETTE[one.colour % len(PALETTE)]
    axes.plot(
        to_array(one.x),
        to_array(one.mean),
        label=legend_label(name),
        color=colour,
        linestyle=_DASHES[one.dashes % len(_DASHES)],
        marker="o",
        markersize=3,
    )
    alpha = 0.07 if one.dashes else 0.15  # bands of lines that are looked at second lie below
    ends = to_array(one.low), to_array(one.high)
    axes.fill_between(to_array(one.x), *ends, color=colour, alpha=alpha, linewidth=0)


def _points(axes: Axes, name: str, one: Band, aside: float) -> None:
    mean, low, high = map(to_array, (one.mean, one.low, one.high))
    axes.errorbar(
        to_array(one.x) + aside,
        mean,
        yerr=[mean - low, high - mean],
        label=legend_label(name),
        color=PALETTE[one.colour % len(PALETTE)],
        fmt=_MARKERS[one.dashes % len(_MARKERS)],
        markersize=4,
        capsize=2,
        linewidth=1,
    )


def bands_csv(series: Mapping[str, Band], x_name: str, ticks: Sequence[str] = ()) -> str:
    """A line for each point: `series,<x>,mean,low,high,n`; an end that is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["series", x_name, "mean", "low", "high", "n"])
    for name, one in series.items():
        for x, *ends, n in zip(one.x, one.mean, one.low, one.high, one.n, strict=True):
            place = ticks[int(x)] if ticks else f"{x:g}"
            writer.writerow([name, place, *("" if math.isnan(e) else e for e in ends), n])
    return text.getvalue()
