import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from frankenstein import report
from frankenstein.report import bars, curves, png
from frankenstein.report.figure_values import figure_csv
from frankenstein.report.short_names import short_names
from frankenstein.shapes import ShapeError

KINDS = ["identity", "permutation", "pseudo-inverse", "low-rank", "sparse", "CKA-regularized"]
STUDY = {
    kind: {"before": 0.1, "after": None if i < 2 else 0.9, "ps_inv": 0.97}
    for i, kind in enumerate(KINDS)
}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_curve_has_its_name_and_its_points():
    series = {
        "affine": ([0, 1, 2], [0.1, math.nan, 0.9]),
        "sparse": ([0, 1], torch.tensor([0.2, 0.4])),
    }
    figure = curves(series, "Accuracy", "epoch", "accuracy", limits=(0, 1))
    axes = figure.axes[0]
    assert legend(figure) == ["affine", "sparse"]
    assert [len(line.get_xdata()) for line in axes.lines] == [3, 2]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == (
        "Accuracy",
        "epoch",
        "accuracy",
    )
    assert axes.get_ylim() == (0, 1)
    assert png(figure) == png(curves(series, "Accuracy", "epoch", "accuracy", limits=(0, 1)))


def test_a_curve_needs_one_y_per_x():
    with pytest.raises(ShapeError, match=r"curve 'a' needs one y per x, got shapes \(2,\), \(3,\)"):
        curves({"a": ([0, 1], [0, 1, 2])})


def test_bars_stand_in_groups_with_lines_to_compare_them_with():
    figure = bars(STUDY, "Accuracy", lines={"sender": 0.981, "receiver": 0.986})
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == KINDS
    assert [len(container) for container in axes.containers] == [6, 6, 6]
    assert sorted(legend(figure)) == [
        "after",
        "before",
        "ps_inv",
        "receiver 98.6 %",
        "sender 98.1 %",
    ]
    assert axes.get_ylim()[0] == 0  # a bar that does not start at zero lies about its share
    assert [text.get_text() for text in axes.texts].count("n/a") == 2
    png(figure, dots_per_inch=int(figure.dpi))  # extents are of the last drawing
    labels = [tick.get_window_extent() for tick in axes.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(labels))


def test_missing_bars_are_named_and_no_bars_are_refused():
    figure = bars({"a": {"x": 1.5}, "b": {"y": math.nan}}, percent=False)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.5", "n/a", "n/a", "n/a"]
    assert figure_csv(figure).splitlines()[1:] == [
        "accuracy,x,a,1.5",
        "accuracy,x,b,nan",
        "accuracy,y,a,nan",
        "accuracy,y,b,nan",
    ]
    assert png(bars({"a": {"x": math.nan}}))
    with pytest.raises(ShapeError, match="bars need at least one group"):
        bars({})


def test_the_interval_of_a_bar_is_drawn_and_has_room():
    ends = {"a": {"x": (0.8, 1.2)}}
    figure = bars({"a": {"x": 1.0}, "b": {"x": 0.5}}, ends=ends)
    (axes,) = figure.axes
    (whisker,) = [one for one in axes.collections if len(one.get_segments())]
    assert whisker.get_segments()[0][:, 1].tolist() == [0.8, 1.2]
    assert axes.get_ylim()[1] > 1.2
    assert len(figure_csv(figure).splitlines()) == 3  # bars alone


def test_the_room_never_imports_pyplot():
    room = Path(report.__file__).parent
    lines = [line for file in room.glob("*.py") for line in file.read_text().splitlines()]
    assert [line for line in lines if "import" in line and "pyplot" in line] == []


def test_a_curve_has_its_margins_in_a_band_and_controls_are_grey_dashes():
    series = {"sender": ([0, 1], [0.5, 0.7]), "untrained": ([0, 1], [0.4, 0.4])}
    figure = curves(
        series, margins={"sender": [0.1, 0.2]}, ticks=["a", "b"], controls=["untrained"]
    )
    (axes,) = figure.axes
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.4, 0.9))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b"]
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    with pytest.raises(ShapeError, match="curve 'sender' needs one margin per x"):
        curves(series, margins={"sender": [0.1]})


def test_long_names_of_layers_leave_the_curves_their_height():
    layers = [f"bert.encoder.layer.{i}.attention.output.LayerNorm" for i in range(12)]
    names = ["cut", *layers, "bert.pooler.dense"]
    figure = curves({"a": (range(14), range(14))}, x_label="layer", ticks=names)
    axes = figure.axes[0]
    assert axes.get_position().height * figure.get_figheight() > 2
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[:2] == ["cut", "…0.attention.output.LayerNorm"]
    assert labels[-1] == "bert.pooler.dense"
    assert axes.get_xlabel() == "layer (… is bert.encoder.layer.)"
    header, *rows = figure_csv(figure).splitlines()
    assert header == "panel,series,x,y,layer"
    assert [row.rsplit(",", 1)[1] for row in rows] == names


@pytest.mark.parametrize("names", [["a.very.long.name.1"] * 2, ["x.y"], ["conv1", "bn1"], []])
def test_names_that_are_short_or_would_be_told_apart_no_longer_stay_as_they_are(names):
    assert short_names(names, "layer") == (names, "layer")
