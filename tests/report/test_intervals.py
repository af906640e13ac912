import math

import pytest

from frankenstein.report import intervals, png
from frankenstein.shapes import ShapeError

LONG = "a group of a very long name that goes on and on over its line"
RUNS = {"a": [0.5, 0.7], LONG: [0.9]}
MEANS = {"a": (0.6, 0.4, 0.7), LONG: (0.9, math.nan, math.nan)}


def test_every_run_is_a_dot_and_a_mean_has_its_interval():
    axes = intervals(RUNS, MEANS, "accuracy/after", percent=True).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == list(RUNS.values())
    (bars,) = axes.containers
    (segment,) = bars[2][0].get_segments()
    assert [x for x, _ in segment] == pytest.approx([0.4, 0.7])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[0] == "a"
    assert labels[1].replace("\n", " ") == LONG
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first group stands on top
    assert axes.get_title() == "accuracy/after"


def test_a_group_without_a_mean_is_refused_and_bytes_are_the_same_each_time():
    with pytest.raises(ShapeError, match=r"every group needs its mean, got \['a'\] and \[\]"):
        intervals({"a": [1.0]}, {})
    assert png(intervals(RUNS, MEANS)) == png(intervals(RUNS, MEANS))
