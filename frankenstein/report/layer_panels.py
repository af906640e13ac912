"""Many curves over the layers of a network, which stay told apart: in panels, each in its style."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from frankenstein.report.charts import name_ticks
from frankenstein.report.style import GREY, PALETTE, RC, legend_label, settled, to_array
from frankenstein.shapes import ShapeError

_DASHES = ("-", "--", ":", "-.")
_MARKS = "sD^vXP*<>d"
_COLOURS = PALETTE[:6]  # black is that of the curves that matter


@rc_context(RC)
def layer_panels(
    panels: Mapping[str, Mapping[str, Sequence[float]]],  # panel: {series: a value per layer}
    styles: Mapping[str, str],  # series: what the legend calls it; those of one name look alike
    thick: Sequence[str],  # series in thick black, in front of the others
    layers: Sequence[str],
    x_label: str = "",
    y_label: str = "",
    limits: tuple[float, float] | None = None,
) -> Figure:
    """One panel beside the other on one scale, with one legend.

    Raises:
        ShapeError: if there is no panel.
    """
    if not panels:
        raise ShapeError("panels need at least one chart, got none")
    figure = Figure(figsize=(1.6 + 3.4 * len(panels) if len(panels) > 1 else 6.4, 4.6))
    looks = _looks(styles, thick)
    for place, (panel, series) in enumerate(panels.items(), start=1):
        first = figure.axes[0] if figure.axes else None
        axes = figure.add_subplot(1, len(panels), place, sharey=first)
        for name, values in series.items():
            axes.plot(
                range(len(layers)),
                to_array(values),
                label=legend_label(name),
                **looks[styles[name]],
            )
        axes.grid(True)
        axes.set_title(panel)
        named = name_ticks(figure, axes, layers, x_label)
        axes.set(xlabel=named, ylabel=y_label if place == 1 else "", ylim=limits)
    handles = {
        styles[name]: line
        for axes, series in zip(figure.axes, panels.values(), strict=True)
        for line, name in zip(axes.lines, series, strict=True)
    }
    handles = {name: handles[name] for name in looks if name in handles}
    figure.legend(
        handles.values(),
        [legend_label(name) for name in handles],
        loc="outside lower center",
        ncols=int(figure.get_figwidth() / 1.7),
    )
    return settled(figure)


def _looks(styles: Mapping[str, str], thick: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How the curves of each name look: thick ones first, then colours, then grey, with marks."""
    first = list(dict.fromkeys(styles[name] for name in styles if name in thick))
    others = [name for name in dict.fromkeys(styles.values()) if name not in first]
    looks: dict[str, dict[str, Any]] = {
        name: {
            "color": "black",
            "linewidth": 2.0,
            "linestyle": _DASHES[i % len(_DASHES)],
            "zorder": 3,
        }
        for i, name in enumerate(first)
    }
    for i, name in enumerate(others):
        looks[name] = {
            "color": _COLOURS[i] if i < len(_COLOURS) else GREY,
            "linewidth": 1.0,
            "marker": _MARKS[i % len(_MARKS)],
            "markersize": 4,
        }
    return looks
