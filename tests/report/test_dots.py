import pytest

from frankenstein.report import png
from frankenstein.report.dots import Dot, dots
from frankenstein.shapes import ShapeError

ROWS = {"after": Dot(0.9, 0.85, 0.93, "stitch"), "noise": Dot(0.1, 0.05, 0.2, "control")}


def test_every_row_has_its_dot_its_interval_and_its_number():
    figure = dots(ROWS, ["stitch", "control", "none"], {"receiver": 0.95}, "accuracy")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["after", "noise"]
    assert [text.get_text() for text in axes.texts] == ["90.0", "10.0"]
    assert axes.yaxis_inverted()  # the first row stands on top
    segments = [one for part in axes.containers for one in part[2][0].get_segments()]
    ends = [(one[0, 0], one[1, 0]) for one in segments]
    assert ends == [pytest.approx((0.85, 0.93)), pytest.approx((0.05, 0.2))]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["receiver 95.0 %", "stitch", "control"]
    assert png(figure)[1:4] == b"PNG"


def test_a_group_keeps_its_colour_whichever_others_there_are():
    both = dots(ROWS, ["stitch", "control"], {}, "accuracy")
    one = dots({"noise": ROWS["noise"]}, ["stitch", "control"], {}, "accuracy")
    colours = [figure.axes[0].containers[-1][0].get_color() for figure in (both, one)]
    assert colours[0] == colours[1]


def test_no_rows_are_refused():
    with pytest.raises(ShapeError, match="at least one row, got none"):
        dots({}, [], {}, "accuracy")
