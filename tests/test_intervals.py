import math

import numpy as np
import pytest
from scipy.stats import binom, multinomial, norm, ttest_ind

from frankenstein.intervals import chance_of, difference_interval, family_wise, share_interval


@pytest.mark.parametrize(("right", "n"), [(0, 10), (3, 10), (10, 10), (9079, 10000), (358, 360)])
def test_the_interval_of_a_share_is_wilsons(right, n):
    z, p = norm.ppf(0.975), right / n  # Wilson 1927, solved for the share
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert share_interval(p, n) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("first", "second", "n"), [(0, 0, 50), (3, 9, 60), (400, 0, 1000)])
def test_the_interval_of_a_difference_is_walds_of_pairs_with_one_of_each_kind_added(
    first, second, n
):
    # One number for each image: 1 where the first alone is right, -1 where the second is.
    pairs = np.array([1] * (first + 1) + [-1] * (second + 1) + [0] * (n - first - second))
    expected = norm.interval(0.95, pairs.mean(), pairs.std() / math.sqrt(n + 2))
    found = difference_interval(first / n, second / n, n)
    assert found == pytest.approx(expected, abs=1e-12)
    assert difference_interval(second / n, first / n, n) == pytest.approx((-found[1], -found[0]))


def test_it_is_that_of_a_published_example():
    # Bentur et al. 2009 in Fagerland et al. 2014: 1 and 7 of 21 pairs.
    found = difference_interval(1 / 21, 7 / 21, 21)
    assert [round(end, 3) for end in found] == [-0.508, -0.013]


def test_intervals_hold_the_truth_as_often_as_they_say():
    n = 100
    for p in (0.1, 0.5, 0.9, 0.98):
        held = [low <= p <= high for low, high in (share_interval(k / n, n) for k in range(n + 1))]
        assert binom.pmf(np.flatnonzero(held), n, p).sum() > 0.92
    for truth in [(0.02, 0.02), (0.1, 0.02), (0.3, 0.0), (0.25, 0.15)]:
        n, held = 60, 0.0
        for b in range(n + 1):
            for c in range(n + 1 - b):
                chance = multinomial.pmf([b, c, n - b - c], n, [*truth, 1 - sum(truth)])
                if chance > 1e-9:
                    low, high = difference_interval(b / n, c / n, n)
                    held += chance * (low <= truth[0] - truth[1] <= high)
        assert held > 0.93


@pytest.mark.parametrize(
    ("tail", "scipys"), [("above", "greater"), ("below", "less"), ("either", "two-sided")]
)
def test_the_chance_of_one_value_is_that_of_a_sample_of_one(tail, scipys):
    # With one value the pooled variance of Student's test is the controls' own.
    controls = [0.3, 0.1, 0.25, 0.4, 0.2]
    for value in (0.05, 0.25, 0.6):
        expected = ttest_ind([value], controls, alternative=scipys).pvalue
        assert chance_of(value, controls, tail) == pytest.approx(expected, abs=1e-12)
        assert chance_of(value, [*controls, math.nan], tail) == pytest.approx(expected, abs=1e-12)


def test_controls_without_a_scale_say_no_more_than_how_many_there_are():
    assert chance_of(1.0, [0.0] * 5) == pytest.approx(1 / 6)
    assert chance_of(0.0, [0.0] * 5) == chance_of(-1.0, [0.0] * 5) == 1
    assert chance_of(0.1 + 0.2, [0.3, 0.3]) == 1  # rounding
    assert math.isnan(chance_of(1.0, [0.5]))
    assert math.isnan(chance_of(math.nan, [0.5, 0.6]))


def test_of_many_chances_one_table_in_twenty_has_one_below_a_twentieth():
    draws = np.random.default_rng(0).normal(size=(1000, 8, 6)) + np.arange(8)[:, None]
    tables = [
        family_wise({str(i): chance_of(row[0], row[1:]) for i, row in enumerate(table)})
        for table in draws
    ]
    assert sum(min(table.values()) < 0.05 for table in tables) / 1000 == pytest.approx(
        0.05, abs=0.02
    )
    alone = family_wise({"a": 0.01, "b": math.nan})
    assert alone["a"] == 0.01
    assert math.isnan(alone["b"])
