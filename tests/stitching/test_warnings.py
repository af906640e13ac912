from dataclasses import replace

import pytest
import torch

from frankenstein.intervals import share_interval
from frankenstein.stitching import StitchPlan
from frankenstein.stitching.warnings import (
    few_examples_warnings,
    one_image_warnings,
    stitch_warnings,
)


def scores_of(**accuracies):
    scores = {}
    for whose, share in accuracies.items():
        ends = share_interval(share, 1000)
        values = zip(("accuracy", "accuracy_low", "accuracy_high"), (share, *ends), strict=True)
        scores |= {f"{what}/{whose}": value for what, value in values}
    return scores


FILES = {"sender": "a", "receiver": "b", "sender_layer": "x", "receiver_layer": "y"}
RANDOM, SOLVED = StitchPlan(**FILES), StitchPlan(**FILES, init="ps_inv")
OTHER = StitchPlan(**FILES, family="orthogonal")


@pytest.mark.parametrize(
    ("scores", "plan", "expected"),
    [
        (
            {"after": 0.186, "ps_inv": 0.992, "solved": 0.99, "untrained": 0.4},
            OTHER,
            "`after` (18.60 %) is clearly below `solved` (99.00 %) and clearly below "
            "`untrained` (40.00 %): it is not its family's best; start it at ps_inv",
        ),
        (
            {"after": 0.8, "ps_inv": 0.9, "untrained": 0.4},
            RANDOM,
            "`after` (80.00 %) is clearly below `ps_inv` (90.00 %): it is not its family's best; "
            "start it at ps_inv",
        ),
        (
            {"before": 0.9, "after": 0.8, "ps_inv": 0.99, "untrained": 0.4},
            SOLVED,
            "`after` (80.00 %) is clearly below `before` (90.00 %): it is not its family's best; "
            "take a smaller lr",
        ),
        (
            {"after": 0.905, "ps_inv": 0.9, "untrained": 0.9},
            RANDOM,
            "`after` (90.50 %) is not clearly above `untrained` (90.00 %): what it reaches is no "
            "sign of what the sender has learned",
        ),
    ],
)
def test_one_line_says_what_is_wrong_and_what_to_try(scores, plan, expected):
    assert stitch_warnings(scores_of(**scores), plan) == [expected]


def test_controls_of_a_sample_are_said_beside_the_stitch_on_the_same_images():
    scores = {"after": 0.803, "after_sampled": 0.796, "solved": 0.9, "untrained": 0.792}
    assert stitch_warnings(scores_of(**scores), OTHER) == [
        "`after` (80.30 %) is clearly below `solved` (90.00 %, beside 79.60 % on the same images) "
        "and not clearly above `untrained` (79.20 %, beside 79.60 % on the same images): it is not "
        "its family's best; start it at ps_inv"
    ]


@pytest.mark.parametrize(
    "scores",
    [
        {"after": 0.88, "ps_inv": 0.9, "untrained": 0.4},  # 1,000 images do not tell these apart
        {"after": 0.9},
        {"before": 0.1, "ps_inv": 0.9, "untrained": 0.4},
    ],
)
def test_nothing_is_said_without_a_reason(scores):
    assert stitch_warnings(scores_of(**scores), RANDOM) == []


def test_a_stitch_is_held_against_the_closed_form_of_its_own_family():
    scores = scores_of(after=0.9, solved=0.9, ps_inv=0.99, untrained=0.4)
    assert stitch_warnings(scores, OTHER) == []
    # The control is solved on fewer images than the run's own closed form.
    scores = scores_of(after=0.9, solved=0.99, ps_inv=0.9, untrained=0.4)
    assert stitch_warnings(scores, RANDOM) == []


def test_few_rows_for_the_units_are_told_with_what_is_better():
    (line,) = few_examples_warnings(RANDOM, rows=80, units=64)
    assert line == (
        "80 rows are few for least squares over 64 units, which falls apart near as many rows as "
        "units: solve on more, or take a ridge or an orthogonal stitch"
    )
    assert few_examples_warnings(RANDOM, rows=257, units=64) == []
    assert few_examples_warnings(OTHER, rows=80, units=64) == []
    assert few_examples_warnings(replace(SOLVED, ridge=True), rows=80, units=64) == []


@pytest.mark.parametrize(
    ("labels", "places", "warns"), [([2, 0, 1], 9, True), ([2, 0, 2], 9, False), ([2, 0], 1, False)]
)
def test_images_of_which_no_class_has_two_warn_at_a_cut_with_places(labels, places, warns):
    lines = one_image_warnings(torch.tensor(labels), places)
    assert len(lines) == warns
    assert all("how the places of one image differ" in line for line in lines)
