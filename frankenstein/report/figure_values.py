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
from torch import Tensor


def figure_csv(figure: Figure) -> str:
    """Points of lines and maps and tops of bars as `panel,series,x,y`; nothing without any.

    Where x = 0, 1, ... are layers, a fifth column has their names in full.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    layered = any(hasattr(axes, "tick_names") for axes in figure.axes)
    for axes in figure.axes:
        panel, names = axes.get_title() or axes.get_ylabel(), getattr(axes, "tick_names", ())
        for series, x, y in _points(axes):
            layer = [names[int(float(x))]] if names else []
            writer.writerow([panel, series, x, y, *layer])
    header = "panel,series,x,y,layer" if layered else "panel,series,x,y"
    return f"{header}\n{text.getvalue()}" if text.getvalue() else ""


def name_points(
    cloud: PathCollection,
    names: Sequence[str],
    images: Tensor | None = None,  # (N, K, 1 or 3, H, W), uint8: those that each point stands for
    pages: Sequence[str] = (),  # N addresses, "" of what has none
) -> None:
    """Say what each point of a cloud is: a page shows it where one points.

    At a click it shows the point's images, or goes to its own page.
    """
    cloud.point_names = tuple(names)  # type: ignore[attr-defined]
    cloud.point_images = images  # type: ignore[attr-defined]
    cloud.point_pages = dict(zip(names, pages, strict=False))  # type: ignore[attr-defined]


def point_images(figure: Figure) -> dict[str, Tensor]:
    """The images of every point that has some, {panel, name: (K, 1 or 3, H, W)}."""
    return {
        _key(axes, name): of_point
        for axes in figure.axes
        for cloud in axes.collections
        if (images := getattr(cloud, "point_images", None)) is not None
        for name, of_point in zip(cloud.point_names, images, strict=True)  # type: ignore[attr-defined]
    }


def point_pages(figure: Figure) -> dict[str, str]:
    """The addresses of the pages of those points that have one, by name."""
    clouds = [cloud for axes in figure.axes for cloud in axes.collections]
    pages = [item for one in clouds for item in getattr(one, "point_pages", {}).items()]
    return {name: page for name, page in pages if page}


def points_svg(figure: Figure) -> str:
    """Circles with names to lie over the picture of a figure, once that is drawn; "" of none."""
    width, height = (float(side) for side in figure.bbox.size)
    seen, pages, circles = point_images(figure), point_pages(figure), []
    for axes in figure.axes:
        for name, point in _named(axes):
            if np.isfinite(point).all():
                x, y = axes.transData.transform(point)
                key = _key(axes, name)
                data = f' data-point="{escape(key)}"' if key in seen else ""
                circle = (
                    f'<circle cx="{x:.1f}" cy="{height - y:.1f}" r="7"{data}>'
                    f"<title>{escape(name)}</title></circle>"
                )
                if page := pages.get(name):
                    circle = f'<a href="{escape(page)}" tabindex="-1">{circle}</a>'
                circles.append(circle)
    size = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg aria-hidden="true" {size}>{"".join(circles)}</svg>' if circles else ""


def _key(axes: Axes, name: str) -> str:
    """A point is the same in all maps that have a panel of this title."""
    return f"{axes.get_title()}, {name}" if axes.get_title() else name


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
