"""The numbers that a figure draws, for other programs."""

import csv
import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure


def figure_csv(figure: Figure) -> str:
    """Points of lines and tops of bars as `panel,series,x,y`; nothing of a figure without any."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for axes in figure.axes:
        panel = axes.get_title() or axes.get_ylabel()
        for series, x, y in _points(axes):
            writer.writerow([panel, series, x, y])
    return f"panel,series,x,y\n{text.getvalue()}" if text.getvalue() else ""


def _points(axes: Axes) -> list[tuple[str, str, str]]:
    """Every point of every line and top of every bar."""
    points = []
    for i, line in enumerate(axes.get_lines()):
        name = _name(line.get_label(), f"line {i + 1}")
        for x, y in zip(*map(np.atleast_1d, line.get_data()), strict=False):
            points.append((name, _digits(x), _digits(y)))
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    groups = [group for group in axes.containers if isinstance(group, BarContainer)]
    for i, group in enumerate(groups):
        name = _name(group.get_label(), f"bars {i + 1}")
        for j, bar in enumerate(group.patches):
            x = ticks[j] if len(ticks) == len(group.patches) else _digits(bar.get_x())
            points.append((name, x, _digits(bar.get_height())))
    return points


def _name(label: object, otherwise: str) -> str:
    text = str(label).strip()
    return otherwise if not text or text.startswith("_") else text


def _digits(value: object) -> str:
    return repr(float(value)) if isinstance(value, int | float | np.number) else str(value)
