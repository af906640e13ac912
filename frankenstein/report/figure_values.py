"""The numbers that a figure draws, for other programs, and the names of its points."""

import csv
import io
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure


def figure_csv(figure: Figure) -> str:
    """Points of lines and maps and tops of bars as `panel,series,x,y`; nothing without any."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for axes in figure.axes:
        panel = axes.get_title() or axes.get_ylabel()
        for series, x, y in _points(axes):
            writer.writerow([panel, series, x, y])
    return f"panel,series,x,y\n{text.getvalue()}" if text.getvalue() else ""


def name_points(cloud: PathCollection, names: Sequence[str]) -> None:
    """Say what each point of a cloud is: a page shows it where one points."""
    cloud.point_names = tuple(names)  # type: ignore[attr-defined]


def points_svg(figure: Figure) -> str:
    """Circles with names to lie over the picture of a figure, once that is drawn; "" of none."""
    width, height = (float(side) for side in figure.bbox.size)
    circles = [
        f'<circle cx="{x:.1f}" cy="{height - y:.1f}" r="7"><title>{escape(name)}</title></circle>'
        for axes in figure.axes
        for name, point in _named(axes)
        if np.isfinite(point).all()
        for x, y in [axes.transData.transform(point)]
    ]
    size = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg aria-hidden="true" {size}>{"".join(circles)}</svg>' if circles else ""


def _named(axes: Axes) -> Iterator[tuple[str, np.ndarray]]:
    for cloud in axes.collections:
        yield from zip(
            getattr(cloud, "point_names", ()), np.asarray(cloud.get_offsets()), strict=False
        )


def _points(axes: Axes) -> list[tuple[str, str, str]]:
    """Every named point, every point of every line and top of every bar."""
    points = [(name, _digits(x), _digits(y)) for name, (x, y) in _named(axes)]
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
