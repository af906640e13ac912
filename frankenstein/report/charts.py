"""Charts of a run: curves over steps, and kinds of stitches side by side."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from frankenstein.report.short_names import short_names
from frankenstein.report.style import (
    DIGIT,
    GREY,
    PALETTE,
    POINTS,
    RC,
    ink_on,
    legend_label,
    settled,
    to_array,
    wrapped,
)
from frankenstein.shapes import ShapeError

_DASHES = ("-", "--", ":", "-.")
_MARKS = "sD^vXPd<>*"  # of controls
_MARK = 8  # letters that a legend's mark and gaps take
_FILL = 0.82  # share of a group's width that its bars take
_TALL = 3.6  # of curves, in inches
_LEAST = 2.8  # of curves with their title, above the names of what x is
_NAME = 34  # letters of a group's name on one line


@rc_context(RC)
def curves(
    series: Mapping[str, tuple[ArrayLike | Tensor, ArrayLike | Tensor]],  # name: (x, y)
    title: str = "",
    x_label: str = "",
    y_label: str = "",
    limits: tuple[float, float] | None = None,  # of y
    margins: Mapping[str, ArrayLike | Tensor] | None = None,  # name: one above and below each y
    ticks: Sequence[str] = (),  # what x = 0, 1, ... are called
    controls: Collection[str] = (),  # series in grey dashes
) -> Figure:
    """One line per series, in a band where it has margins; a value that is not finite is a gap.

    Raises:
        ShapeError: if a series has not one y, or one margin, per x.
    """
    figure = Figure(figsize=(6.4, _TALL))
    axes = figure.add_subplot()
    grey = [name for name in series if name in controls]
    for i, (name, points) in enumerate(series.items()):
        x, y = map(to_array, points)
        if x.ndim != 1 or x.shape != y.shape:
            raise ShapeError(f"curve {name!r} needs one y per x, got shapes {x.shape}, {y.shape}")
        colour = GREY if name in controls else PALETTE[i % len(PALETTE)]
        dashes = _DASHES[1 if name in controls else i // len(PALETTE) % len(_DASHES)]
        axes.plot(
            x,
            y,
            label=legend_label(name),
            color=colour,
            linestyle=dashes,
            # Few points are measurements: each is shown, and tells one control from another.
            marker=None if len(x) > 40 else _mark(grey, name),
            markersize=3,
        )
        if margins and name in margins:
            margin = to_array(margins[name])
            if margin.shape != y.shape:
                raise ShapeError(
                    f"curve {name!r} needs one margin per x, got shapes {x.shape}, {margin.shape}"
                )
            axes.fill_between(x, y - margin, y + margin, color=colour, alpha=0.15, linewidth=0)
    axes.grid(True)
    if ticks:
        x_label = name_ticks(figure, axes, ticks, x_label)
    axes.set(xlabel=x_label, ylabel=y_label, ylim=limits)
    axes.set_title(wrapped(title, figure.get_figwidth()))
    if len(series) > 1:
        figure.legend(loc="outside right upper")
    return settled(figure)


def _mark(controls: Sequence[str], name: str) -> str:
    return _MARKS[controls.index(name) % len(_MARKS)] if name in controls else "o"


def name_ticks(figure: Figure, axes: Axes, ticks: Sequence[str], x_label: str) -> str:
    """Call x = 0, 1, ... by names, turned where they are long; what the label of x is then."""
    axes.tick_names = tuple(ticks)  # type: ignore[attr-defined]  # for the numbers as CSV
    ticks, x_label = short_names(ticks, x_label)
    longest = max(map(len, ticks))
    turned = longest * len(ticks) >= 60
    axes.set_xticks(range(len(ticks)), ticks, rotation=90 if turned else 0)
    if turned:  # the names must not take the room of the curves
        names = longest * DIGIT * RC["xtick.labelsize"] / POINTS
        figure.set_figheight(max(_TALL, _LEAST + names))
    return x_label


@rc_context(RC)
def plane(
    points: Mapping[str, tuple[ArrayLike | Tensor, ArrayLike | Tensor]],  # name: (x, y)
    x_label: str,
    y_label: str,
    joined: Collection[str] = (),  # series whose points are joined, in their order
) -> Figure:
    """Points of every series; x on a logarithmic scale, y as a percentage."""
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_subplot()
    for i, (name, (x, y)) in enumerate(points.items()):
        line = "-" if name in joined else ""
        axes.plot(
            to_array(x),
            to_array(y),
            label=legend_label(name),
            color=PALETTE[i % len(PALETTE)],
            linestyle=line,
            marker="osD^"[i % 4],
            markersize=4,
        )
    axes.set(xscale="log", xlabel=x_label, ylabel=y_label)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.grid(True)
    figure.legend(loc="outside right upper")
    return settled(figure)


@rc_context(RC)
def bars(
    values: Mapping[str, Mapping[str, float | None]],  # group: {bar: value}
    title: str = "",
    y_label: str = "accuracy",
    lines: Mapping[str, float] | None = None,  # name: height
    percent: bool = True,
    ends: Mapping[str, Mapping[str, tuple[float, ...]]] = {},  # likewise: low and high of a value
) -> Figure:
    """Groups of bars with their numbers, and heights to compare them with as horizontal lines.

    For a study: a group per kind of stitch with bars before, after, ps_inv; lines for sender and
    receiver. A value that is missing, None or not finite is written n/a where its bar would stand.

    Raises:
        ShapeError: if there is no bar at all.
    """
    names = list(dict.fromkeys(name for group in values.values() for name in group))
    lines = lines or {}
    if not names:
        raise ShapeError("bars need at least one group with one value, got none")
    heights = to_array([[_or_nan(group.get(name)) for group in values.values()] for name in names])
    width = min(11.0, max(4.8, 1.5 + 0.38 * heights.size))
    figure = Figure(figsize=(width, 3.8))
    axes = figure.add_subplot()
    room = _FILL * (width - 1.0) * POINTS / heights.size  # for one bar, in points
    tallest = float(np.nanmax([0.0, *heights.flat, *lines.values()])) or 1.0
    lowest = float(np.nanmin(heights, initial=0.0))
    short = 0.12 * max(tallest, -lowest)
    for i, name in enumerate(names):
        places = np.arange(len(values)) + _FILL * ((i + 0.5) / len(names) - 0.5)
        colour = PALETTE[i % len(PALETTE)]
        axes.bar(
            places,
            heights[i],  # one that is missing is NaN in the figure's CSV, too
            0.94 * _FILL / len(names),
            label=legend_label(name),
            color=colour,
        )
        tops = np.nan_to_num(heights[i])
        for j, group in enumerate(values):
            if name in ends.get(group, {}):
                low, high = ends[group][name]
                axes.vlines(places[j], low, high, color="black", linewidth=1)
                tops[j] = high
                tallest = max(tallest, high)
        _write_numbers(axes, places, heights[i], tops, colour, room, short, percent)
    for i, (name, height) in enumerate(lines.items()):
        label = f"{name} {_number(height, percent)}" + (" %" if percent else "")
        axes.axhline(height, color="black", linestyle=_DASHES[1 + i % 3], linewidth=1, label=label)
    axes.set_ylim(1.15 * lowest, max(1.06 * tallest, -0.15 * lowest))
    edge = 0.5 * _FILL + 0.05 * (len(values) - 1 + _FILL)  # room for missing bars, too
    axes.set_xlim(-edge, len(values) - 1 + edge)
    axes.set_xticks(range(len(values)), list(values))
    axes.tick_params(axis="x", length=0)
    axes.grid(True, axis="y")
    if percent:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_ylabel(y_label)
    axes.set_title(wrapped(title, width))
    # Of a legend's column, beside its name, in letters of 9 points: a mark and a gap.
    longest = _MARK + max(map(len, (*names, *lines))) + (7 if lines else 0)
    fit = max(1, int(width * POINTS / (longest * 9 * DIGIT)))
    figure.legend(loc="outside lower center", ncols=min(5, fit, len(names) + len(lines)))
    return settled(figure)


def _write_numbers(
    axes: Axes,
    places: NDArray[np.floating[Any]],
    heights: NDArray[np.float64],
    tops: NDArray[np.float64],  # of bars with their whiskers
    colour: str,
    room: float,
    short: float,  # below this height a number does not fit inside its bar
    percent: bool,
) -> None:
    """Numbers at the foot of their bars, where no horizontal line crosses them."""
    size = min(8.0, room / (4.2 * DIGIT))
    for place, height, top in zip(places, heights, tops, strict=True):
        inside = height >= short  # False for NaN
        axes.annotate(
            _number(height, percent),
            (place, 0.0 if inside else float(top)),
            xytext=(0, -3 if height < 0 else 3),
            textcoords="offset points",
            ha="center",
            va="top" if height < 0 else "bottom",
            fontsize=max(size, 6.0),
            rotation=0 if size >= 6.0 else 90,
            color=ink_on(colour) if inside else GREY,
        )


def _number(value: float, percent: bool) -> str:
    if np.isnan(value):
        return "n/a"
    return f"{100 * value:z.1f}" if percent else f"{value:.3g}"


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


@rc_context(RC)
def intervals(
    values: Mapping[str, Sequence[float]],  # group: a value for each run
    means: Mapping[str, tuple[float, float, float]],  # group: mean, and the ends of its interval
    title: str = "",
    percent: bool = False,
) -> Figure:
    """A row for each group, from top to bottom; an interval that is not finite is not drawn.

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
        mean, low, high = means[group]
        axes.plot(runs, np.full(len(runs), row), "o", color=PALETTE[0], alpha=0.45, markersize=4)
        if np.isfinite([low, high]).all():
            around = [[mean - low], [high - mean]]
            axes.errorbar(mean, row, xerr=around, color=PALETTE[1], capsize=3, linewidth=1.4)
            axes.plot(mean, row, "|", color=PALETTE[1], markersize=11, markeredgewidth=2)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(True, axis="x")
    axes.margins(x=0.06)
    if percent:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.set_title(wrapped(title, figure.get_figwidth()))
    return settled(figure)
