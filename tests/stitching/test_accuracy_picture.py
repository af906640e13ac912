"""The first figure of a stitch holds all rows against each other, on the same images."""

import csv
import io

import pytest

from frankenstein.runs.fields import KINDS
from frankenstein.stitching.accuracy_picture import accuracy_picture
from frankenstein.stitching.controls import CONTROLS
from frankenstein.stitching.depths_page import depth_pictures
from frankenstein.stitching.plan import StitchPlan

pytestmark = pytest.mark.drawn
PLAN = StitchPlan(
    sender="a", receiver="b", sender_layer="x", receiver_layer="y", controls="all", epochs=2
)


def scored(rows, n):
    return {
        f"{key}/{row}": value
        for row in rows
        for key, value in (
            ("accuracy", 0.5),
            ("accuracy_low", 0.4),
            ("accuracy_high", 0.6),
            ("n", n),
        )
    }


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def test_all_stitches_and_controls_are_drawn():
    picture = accuracy_picture(scored(["sender", "receiver", *KINDS, *CONTROLS], 360), PLAN)
    assert names(picture.figure.axes[0]) == [*KINDS, *CONTROLS]
    assert "the same 360 held-out images. A stitch" in picture.caption
    rows = [*csv.DictReader(io.StringIO(picture.csv))]
    assert [row["row"] for row in rows] == ["sender", "receiver", *KINDS, *CONTROLS]
    assert rows[-1] == {
        "row": "itself_ps_inv",
        "accuracy": "0.5",
        "low": "0.4",
        "high": "0.6",
        "n": "360",
    }


def test_stitches_are_those_on_the_sample_where_controls_are_of_a_sample():
    sampled = [f"{row}_sampled" for row in ("receiver", *KINDS)]
    numbers = scored(["sender", "receiver", *KINDS], 10_000) | scored(
        [*sampled, "untrained", "marker_trained"], 1_000
    )
    numbers["accuracy/after_sampled"] = 0.55
    picture = accuracy_picture(numbers, PLAN)
    (axes,) = picture.figure.axes
    assert names(axes) == [*KINDS, "untrained", "marker_trained"]
    assert [text.get_text() for text in axes.texts] == ["50.0", "55.0", "50.0", "50.0", "50.0"]
    assert "the same 1,000 held-out images. They are a random sample of the 10,000" in (
        picture.caption
    )
    assert {row["n"] for row in csv.DictReader(io.StringIO(picture.csv))} == {"1000"}


def test_curves_of_trained_stitches_stand_beside_those_of_trained_controls():
    rows = [*KINDS, "solved", "untrained", "untrained_trained", "itself"]
    numbers = {f"explained@{depth}/{row}": 0.5 for row in rows for depth in ("cut", "logits")}
    numbers["explained@cut/after_sampled"] = 0.25
    numbers["explained@logits/after_sampled"] = 0.5
    (picture,) = depth_pictures(numbers, PLAN)
    plain, trained = picture.figure.axes
    drawn = [[line.get_label() for line in axes.lines] for axes in (plain, trained)]
    assert drawn == [["before", "ps_inv", "solved", "untrained"], ["after", "untrained_trained"]]
    assert trained.lines[0].get_ydata().tolist() == [0.25, 0.5]  # on the controls' images


def test_one_panel_holds_all_where_no_control_is_trained():
    numbers = {f"explained@cut/{row}": 0.5 for row in ("before", "after", "untrained")}
    (picture,) = depth_pictures(numbers, PLAN)
    (axes,) = picture.figure.axes
    assert len(axes.lines) == 3
    assert "Stitches that are trained" not in picture.caption
