"""Scores equal independent references; what knows nothing is at chance."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from frankenstein.benchmark.grounded import layers
from frankenstein.benchmark.grounded.grounded import Compared
from frankenstein.benchmark.scored import Scored, mean_ranks
from frankenstein.benchmark.statistics import (
    auprc,
    auprc_of_chance,
    drawn_networks,
    interval,
    pairs_of,
    ranks,
    spearman,
    violation_rate,
)

GROUPS = np.array(["a"] * 4 + ["b"] * 3 + ["c", "d"])
FIRST, SECOND = pairs_of(np.arange(len(GROUPS)))


@pytest.fixture
def values():
    """Of six measures, the last three with many ties."""
    draw = np.random.default_rng(0)
    found = draw.random((6, len(FIRST)))
    found[3:] = found[3:].round(1)
    return found


def test_auprc_is_that_of_scikit_learn_ties_included(values):
    same = GROUPS[FIRST] == GROUPS[SECOND]
    expected = [average_precision_score(same, one) for one in values]
    np.testing.assert_allclose(auprc(values, same), expected, rtol=1e-12)


def test_spearman_is_that_of_scipy(values):
    truth = np.random.default_rng(1).random(len(FIRST)).round(1)
    expected = [spearmanr(one, truth).statistic for one in values]
    np.testing.assert_allclose(spearman(values, truth), expected, rtol=1e-12)


def test_violations_are_counted_pair_by_pair(values):
    for row, rate in zip(
        values, violation_rate(values, GROUPS[FIRST], GROUPS[SECOND]), strict=True
    ):
        count = total = 0.0
        for group in "ab":  # of one network there is no pair within
            inside = row[(GROUPS[FIRST] == group) & (GROUPS[SECOND] == group)]
            across = row[(GROUPS[FIRST] == group) != (GROUPS[SECOND] == group)]
            for one, other in product(inside, across):
                count += (other > one) + 0.5 * (other == one)
                total += 1
        assert rate == pytest.approx(count / total, rel=1e-12)


def test_of_one_group_the_rate_is_one_less_the_area_under_the_roc_curve(values):
    groups = np.array(["a"] * 5 + ["b", "c", "d", "e"])
    one, other = groups[FIRST], groups[SECOND]
    known = (one == "a") | (other == "a")
    areas = [roc_auc_score((one == other)[known], row[known]) for row in values]
    np.testing.assert_allclose(violation_rate(values, one, other), 1 - np.array(areas))


def test_random_measures_are_at_chance_in_the_mean():
    random = np.random.default_rng(2).random((4000, len(FIRST)))
    same = GROUPS[FIRST] == GROUPS[SECOND]
    for found, chance in [
        (auprc(random, same), auprc_of_chance(int(same.sum()), len(same))),
        (violation_rate(random, GROUPS[FIRST], GROUPS[SECOND]), 0.5),
        (spearman(random, random[0])[1:], 0.0),
    ]:
        assert abs(found.mean() - chance) < 4 * found.std() / np.sqrt(len(found))


def test_a_constant_is_at_chance_and_an_undefined_measure_has_no_score(values):
    constant = np.ones_like(values[:1])
    assert violation_rate(constant, GROUPS[FIRST], GROUPS[SECOND]) == 0.5
    assert np.isnan(spearman(constant, values[0])).all()
    values[0, 3] = np.nan
    for found in (
        auprc(values, GROUPS[FIRST] == GROUPS[SECOND]),
        violation_rate(values, GROUPS[FIRST], GROUPS[SECOND]),
        spearman(values, values[1]),
    ):
        assert np.isnan(found[0])
        assert not np.isnan(found[1:]).any()
    assert np.isnan(auprc(values, np.zeros(len(FIRST), dtype=bool))).all()


def test_what_knows_the_groups_is_perfect():
    known = (GROUPS[FIRST] == GROUPS[SECOND]).astype(float)[None]
    assert auprc(known, known[0] == 1) == 1
    assert violation_rate(known, GROUPS[FIRST], GROUPS[SECOND]) == 0


def test_of_three_layers_the_outer_two_are_the_least_alike_or_it_is_a_violation():
    values = np.full((3, 2, 3, 3), np.nan)  # of measures, networks, layers with later ones
    for measure, (near, next_, far) in enumerate([(3, 2, 1), (1, 2, 3), (3, 1, 2)]):
        values[measure, :, 0, 1], values[measure, :, 1, 2] = near, next_
        values[measure, :, 0, 2] = far
    undefined = np.full((1, 2, 3, 3), np.nan)
    one = np.zeros((2, 2))
    found = Compared(("a", "b"), one[0], one, one, one, np.concatenate([values, undefined]))
    correlation, rate = (score.of(np.arange(2)) for score in layers.TEST.scores(found))
    np.testing.assert_allclose(rate, [0, 1, 0.5, np.nan])
    assert correlation[0] > 0 > correlation[1]


def test_networks_are_drawn_within_their_groups_and_none_is_a_pair_of_itself():
    for index in drawn_networks(GROUPS.tolist(), 50):
        assert (GROUPS[index] == GROUPS).all()
        assert len({*index[:4].tolist()}) > 1
        i, j = pairs_of(index)
        assert (i != j).all()
    alone, beside = (drawn_networks(groups, 5) for groups in (["a"] * 4, GROUPS.tolist()))
    assert all((one == other[:4]).all() for one, other in zip(alone, beside, strict=True))


def test_an_interval_over_networks_is_wider_than_one_over_pairs():
    """A property of networks is in all of their pairs, which are no independent draws."""
    draw = np.random.default_rng(3)
    own = draw.random(12)
    noise = 0.2 * draw.random((12, 12))
    near = (own[:, None] + own + noise + noise.T)[None]

    def correlation(i, j):
        return spearman(near[:, i, j], (own[i] * own[j]))

    over_networks = [correlation(*pairs_of(index)) for index in drawn_networks(["a"] * 12, 300)]
    i, j = pairs_of(np.arange(12))
    over_pairs = [correlation(i[some], j[some]) for some in draw.integers(66, size=(300, 66))]
    widths = [np.subtract(*interval(np.stack(one))[::-1]) for one in (over_networks, over_pairs)]
    assert widths[0] > widths[1]


def test_ranks_begin_with_the_best_and_leave_out_controls_and_what_is_undefined():
    assert ranks(np.array([0.3, np.nan, 0.9, 0.3]), larger=True).tolist()[2] == 1
    rows = ("one", "two", "random_numbers", "three")
    score = np.array([0.1, 0.4, 0.0, np.nan])
    scored = Scored("violation rate", rows, 0.5, False, score, np.tile(score, (5, 1)))
    assert scored.ranks[:2].tolist() == [1, 2]
    assert np.isnan(scored.ranks[2:]).all()
    assert (scored.best, scored.as_good()) == ("one", [])
    mean, low, high, count = mean_ranks({"a": scored, "b": scored})
    assert (mean[0], low[1], high[1], count.tolist()) == (1, 2, 2, [2, 2, 0, 0])
