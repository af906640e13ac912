"""Means over runs know which networks the runs share."""

import math
from itertools import combinations
from pathlib import Path

import pytest
import torch

from frankenstein.intervals import mean_and_margin
from frankenstein.similarity.networks.estimates import over_pairs
from frankenstein.studies.finished import FinishedRun
from frankenstein.studies.means import mean_of


def run(sender, receiver, seed=0, verb="stitch", **scores):
    card = {"init_seed": 0, "order_seed": 0}
    cards = {"sender": card | {"sha256": sender}, "receiver": card | {"sha256": receiver}}
    options = {"sender": sender, "receiver": receiver, "seed": seed}
    named = {name.replace("__", "/"): value for name, value in scores.items()}
    return FinishedRun(Path(), {"verb": verb, "options": options, "cards": cards}, named)


def stitches(pairs):
    """Of networks 0, 1, ...; the receiver's own accuracy is a tenth of its number."""
    return [
        run(str(i), str(j), accuracy__after=value, accuracy__receiver=j / 10, accuracy__untrained=0)
        for (i, j), value in pairs.items()
    ]


def test_pairs_that_share_networks_have_the_interval_that_compare_has():
    values = torch.rand(5, 5, dtype=torch.float64)
    values = (values + values.T) / 2
    pairs = {(i, j): float(values[i, j]) for i, j in combinations(range(5), 2)}
    found = mean_of(stitches(pairs), "accuracy/after")
    mean, low, high, _ = over_pairs(values)
    assert (found.n, found.networks, found.words) == (10, 5, "10 runs of 5 networks")
    assert found.value == pytest.approx(float(mean))
    assert found.value - found.margin == pytest.approx(float(low))
    assert found.value + found.margin == pytest.approx(float(high))


@pytest.mark.parametrize("score", ["accuracy/receiver", "accuracy/untrained"])
def test_controls_and_receivers_are_those_of_the_same_runs_as_the_stitch(score):
    runs = stitches(dict.fromkeys(combinations(range(5), 2), 0.9))
    for one in runs:
        one.scores["accuracy/untrained"] = one.scores["accuracy/receiver"]
        one.scores["accuracy/after"] = one.scores["accuracy/receiver"] + 0.01
    found, stitch = mean_of(runs, score), mean_of(runs, "accuracy/after")
    assert stitch.value - found.value == pytest.approx(0.01)
    assert stitch.margin == pytest.approx(found.margin)
    assert found.words == stitch.words == "10 runs of 5 networks"


def test_runs_of_one_sender_are_draws_of_receivers():
    found = mean_of(stitches({(0, 1): 0.7, (0, 2): 0.8, (0, 3): 0.9}), "accuracy/after")
    assert (found.value, found.margin) == pytest.approx(mean_and_margin([0.7, 0.8, 0.9]))


def test_seeds_of_the_runs_alone_are_draws_but_not_of_a_networks_own_score():
    runs = [
        run("a", "b", seed, accuracy__after=seed / 10, accuracy__receiver=0.9) for seed in (5, 7)
    ]
    found = mean_of(runs, "accuracy/after")
    assert (found.value, found.margin) == pytest.approx(mean_and_margin([0.5, 0.7]))
    own = mean_of(runs, "accuracy/receiver")
    assert own.value == 0.9
    assert math.isnan(own.margin)


def test_an_interval_ends_where_the_score_does_and_two_networks_have_none():
    found = mean_of(stitches({(0, 1): 1.0, (2, 3): 0.5}), "accuracy/after")  # none is in two
    assert (found.low, found.high) == (0.0, 1.0)
    assert found.is_clipped
    assert not mean_of(stitches({(0, 1): 0.5, (2, 3): 0.51}), "accuracy/after").is_clipped
    both_ways = mean_of(stitches({(0, 1): 1.0, (1, 0): 0.5}), "accuracy/after")
    assert both_ways.value == 0.75
    assert math.isnan(both_ways.margin)
    assert not both_ways.is_clipped
    assert math.isnan(both_ways.low)
    assert math.isnan(both_ways.high)
