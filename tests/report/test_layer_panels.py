import pytest

from frankenstein.report.figure_values import figure_csv
from frankenstein.report.layer_panels import layer_panels
from frankenstein.shapes import ShapeError

NAMES = [f"control {i}" for i in range(9)]
PANELS = {
    "solved": {"before": [1, 1], **{name: [0.5, 0.1] for name in NAMES}},
    "trained": {"after": [1, 1], **{f"{name}_trained": [0.6, 0.2] for name in NAMES}},
}
STYLES = {name: name.removesuffix("_trained") for panel in PANELS.values() for name in panel}


def look(line):
    return line.get_color(), line.get_linestyle(), line.get_marker()


def test_no_two_curves_of_a_panel_look_alike_and_one_control_looks_alike_in_both():
    figure = layer_panels(PANELS, STYLES, ["before", "after"], ["cut", "fc"], "layer", "R²")
    solved, trained = figure.axes
    for axes in figure.axes:
        assert len({look(line) for line in axes.lines}) == len(axes.lines) == 10
    assert [*map(look, solved.lines[1:])] == [*map(look, trained.lines[1:])]
    assert solved.lines[0].get_linewidth() > solved.lines[1].get_linewidth()
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["before", "after", *NAMES]
    assert "trained,control 8_trained,1.0,0.2,fc" in figure_csv(figure).splitlines()


def test_no_panel_is_refused():
    with pytest.raises(ShapeError, match="at least one chart"):
        layer_panels({}, {}, [], ["cut"])
