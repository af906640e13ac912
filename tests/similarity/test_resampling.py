from itertools import permutations
from math import comb

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import (
    UndefinedSimilarityWarning,
    linear_cka,
    mean_cca,
    mean_squared_distance,
    unbiased_cka,
)
from frankenstein.measures.cka import gram_stack, resampled_cka, scaled_gram
from frankenstein.measures.draws import halves, of_examples, shuffles
from frankenstein.shapes import per_location
from frankenstein.similarity.resampling import certainty


def planted(n, repeats, noise, d=4):
    """Pairs of Gaussian representations and the linear CKA of their population."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(repeats, n, d, generator=generator, dtype=torch.float64)
    x = x * torch.linspace(1, 0.4, d, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    y = x @ rotation + noise * torch.randn(repeats, n, d, generator=generator, dtype=torch.float64)
    xx = torch.linspace(1, 0.4, d, dtype=torch.float64).square()
    return x, y, float(xx.norm() / (xx + noise**2).norm())


def stacks(*sides, dtype=torch.float64):
    return [gram_stack(map(scaled_gram, layers), dtype) for layers in sides]


def one_by_one(x, y, unbiased):
    """Draws for many unrelated pairs at once: the diagonal of all pairs."""
    pairs = resampled_cka(*stacks(x, y), unbiased)
    return lambda i, j: pairs(i, j).diagonal()


def share_inside(found, truth):
    return ((found.low <= truth) & (truth <= found.high)).double().mean().item()


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_95_percent_of_intervals_hold_the_unbiased_cka_of_the_population(noise):
    x, y, truth = planted(60, 200, noise)
    found = certainty(one_by_one(x, y, True), 60, bootstrap=199)
    assert share_inside(found, truth) == pytest.approx(0.95, abs=0.035)  # 2.3 standard errors
    # Neither are they so because they are too wide.
    width = (found.high - found.low).mean() / 3.92
    assert width.item() == pytest.approx(found.value.std().item(), rel=0.2)


def test_intervals_of_a_biased_measure_hold_what_it_gives_on_average_on_so_many_examples():
    x, y, _ = planted(40, 200, 2.0, d=20)
    found = certainty(one_by_one(x, y, False), 40, bootstrap=199)
    assert share_inside(found, found.value.mean()) == pytest.approx(0.95, abs=0.035)


def test_intervals_of_unrelated_representations_are_too_wide_rather_than_too_narrow():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(200, 40, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    assert share_inside(certainty(one_by_one(x, y, True), 40, bootstrap=199), 0.0) >= 0.97


def test_intervals_hold_the_correlation_of_a_population_too():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 200, generator=generator, dtype=torch.float64)
    y = 0.6 * x + 0.8 * torch.randn(80, 200, generator=generator, dtype=torch.float64)

    def correlation(x, y):  # of 200 pairs at once
        x, y = ((z - z.mean(0)) / z.std(0, correction=0) for z in (x, y))
        return (x * y).mean(0)

    found = certainty(of_examples(correlation, x, y), 80, bootstrap=199)
    assert share_inside(found, 0.6) == pytest.approx(0.95, abs=0.035)


def test_an_example_drawn_twice_would_make_unrelated_representations_alike():
    """Why halves are drawn, and not as many examples as there are with replacement."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(40, 30, generator=generator, dtype=torch.float64) for _ in range(2))
    value_of, everyone = of_examples(unbiased_cka, x, y), torch.arange(40)
    twice = [torch.randint(40, (40,), generator=generator) for _ in range(200)]
    value = value_of(everyone, everyone)
    drawn_twice = torch.stack([value_of(i, i) for i in twice]).mean() - value
    drawn_once = torch.stack([value_of(i, i) for i, _ in halves(40, 200)]).mean() - value
    assert drawn_twice > 0.3
    assert abs(drawn_once) < 0.03


@pytest.mark.parametrize(("unbiased", "measure"), [(True, unbiased_cka), (False, linear_cka)])
def test_all_pairs_of_a_draw_are_the_measure_of_the_examples_drawn(unbiased, measure):
    generator = torch.Generator().manual_seed(0)
    xs, ys = (
        [torch.randn(30, width, generator=generator, dtype=torch.float64) + 50 for width in widths]
        for widths in ((3, 50), (2, 4, 40))
    )
    pairs = resampled_cka(*stacks(xs, ys), unbiased)
    for i, j in [*halves(30, 2), *shuffles(30, 2)]:
        expected = [[measure(x[i], y[j]) for y in ys] for x in xs]
        torch.testing.assert_close(pairs(i, j), torch.tensor(expected, dtype=torch.float64))


def test_float32_grams_are_near_enough():
    generator = torch.Generator().manual_seed(0)
    zs = [1e-8 * (torch.rand(200, 7, 3, 3, generator=generator) + 30) for _ in range(3)]
    one, other = (
        resampled_cka(*stacks(zs, zs, dtype=dtype)) for dtype in (torch.float32, torch.float64)
    )
    for i, j in [*halves(200, 1), *shuffles(200, 1)]:
        torch.testing.assert_close(one(i, j).double(), other(i, j), rtol=0, atol=3e-6)


def test_over_all_orders_the_null_mean_of_linear_cka_is_its_closed_form():
    # tr(K) tr(L) / ((n - 1) |K| |L|) for centred K and L; that of unbiased CKA is 0.
    n, random = 6, np.random.default_rng(0)
    x, y = random.normal(size=(n, 3)), random.normal(size=(n, 8))
    k, l = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))  # noqa: E741
    norms = np.linalg.norm(k) * np.linalg.norm(l)
    expected = np.trace(k) * np.trace(l) / ((n - 1) * norms)
    grams = [gram_stack([scaled_gram(torch.tensor(z))], torch.float64) for z in (x, y)]
    everyone, orders = torch.arange(n), [torch.tensor(order) for order in permutations(range(n))]
    for unbiased, mean in ((False, expected), (True, 0.0)):
        value_of = resampled_cka(*grams, unbiased)
        found = torch.stack([value_of(everyone, order) for order in orders])
        assert found.mean().item() == pytest.approx(mean, abs=1e-12)
    found = certainty(resampled_cka(*grams, False), n, permutations=2000)
    assert found.null_mean.item() == pytest.approx(expected, abs=0.02)


def test_p_is_uniform_for_unrelated_representations_and_small_for_related_ones():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(200, 15, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    p = certainty(one_by_one(x, y, True), 15, permutations=199).p_value
    assert kstest(p.numpy(), "uniform").pvalue > 0.01
    assert p.min() >= 1 / 200
    x, y, _ = planted(40, 5, 0.3)
    assert (certainty(one_by_one(x, y, True), 40, permutations=199).p_value == 1 / 200).all()


def chain(layers, n, generator):
    """Layers of a random network of 8 units, on inputs of its own."""
    x, found = torch.randn(n, 8, generator=generator), []
    for _ in range(layers):
        x = torch.relu(x @ torch.randn(8, 8, generator=generator) / 2)
        found.append(x)
    return found


def test_of_200_unrelated_pairs_of_networks_about_5_percent_are_called_alike():
    generator = torch.Generator().manual_seed(0)
    alone = together = 0
    for seed in range(200):
        pairs = resampled_cka(*stacks(*(chain(5, 24, generator) for _ in range(2))), True)
        found = certainty(pairs, 24, permutations=39, seed=seed)
        alone += int((found.p_value <= 0.05).any())
        together += int((found.family_p <= 0.05).any())
        assert torch.equal(found.calibrated > 0, found.family_p <= 0.05)
    assert together <= 18  # 10 are expected; more than 17 come in one of 90 simulations
    assert alone > 40


def test_a_family_p_and_a_calibrated_score_are_those_of_their_definition():
    generator = torch.Generator().manual_seed(0)
    x, y = chain(3, 30, generator), chain(2, 30, generator)
    y[1] = x[2] + 0.5 * y[1]
    drawn = []
    pairs = resampled_cka(*stacks(x, y), True)

    def counted(i, j):
        drawn.append(pairs(i, j))
        return drawn[-1]

    found = certainty(counted, 30, permutations=59)
    value, null = drawn[0].numpy(), torch.stack(drawn[1:]).numpy()
    assert len(null) == 59  # no draw is made for it
    largest = np.sort(null.reshape(59, -1).max(1))
    expected = np.array([[(1 + (largest >= v).sum()) / 60 for v in row] for row in value])
    np.testing.assert_allclose(found.family_p, expected)
    least = largest[56]  # the 57th of 59: three of 60 are 5 %
    np.testing.assert_allclose(found.calibrated, np.maximum(0, (value - least) / (1 - least)))
    assert found.calibrated.argmax() == 5
    assert (found.family_p >= found.p_value).all()
    assert 0 < found.calibrated[2, 1] < value[2, 1]


def test_of_one_value_the_family_is_itself_and_one_like_itself_has_a_calibrated_score_of_1():
    x = torch.randn(30, 5, dtype=torch.float64)
    found = certainty(of_examples(linear_cka, x, torch.randn(30, 5).double()), 30, permutations=39)
    assert found.family_p == found.p_value
    found = certainty(of_examples(linear_cka, x, x), 30, permutations=39)
    assert found.calibrated.item() == pytest.approx(1)
    far = {"larger_is_closer": False, "perfect": 0.0}
    found = certainty(of_examples(mean_squared_distance, x, x), 30, permutations=39, **far)
    assert found.calibrated.item() == pytest.approx(1)
    # With fewer than 19 shuffles nothing can be sure to 5 %.
    assert certainty(of_examples(linear_cka, x, x), 30, permutations=18).calibrated.isnan()


def test_where_small_is_close_a_p_counts_the_small():
    x = torch.randn(20, 3, dtype=torch.float64)
    near = of_examples(mean_squared_distance, x, x + 0.1)
    found = certainty(near, 20, permutations=99, larger_is_closer=False)
    assert found.p_value.item() == 1 / 100
    assert found.value < found.null_mean
    assert certainty(near, 20, permutations=99).p_value.item() == 1.0


def test_a_representation_with_itself_is_sure():
    x = torch.randn(30, 5, dtype=torch.float64)
    found = certainty(of_examples(unbiased_cka, x, x), 30, bootstrap=39, limits=(-1, 1))
    assert (found.low, found.high) == (pytest.approx(1), pytest.approx(1))


def test_an_interval_does_not_leave_the_measures_range():
    x, y, _ = planted(20, 1, 0.15)
    found = certainty(of_examples(linear_cka, x[0], y[0]), 20, bootstrap=999, limits=(0, 0.99))
    assert found.low < found.value < found.high == 0.99


def test_an_example_is_drawn_with_all_its_places():
    """Maps that are the same everywhere say no more than their pixels do."""
    x = torch.randn(40, 3, dtype=torch.float64)
    y = x @ torch.randn(3, 2, dtype=torch.float64) + torch.randn(40, 2, dtype=torch.float64)
    maps = [z[:, :, None, None].expand(-1, -1, 2, 3) for z in (x, y)]

    def measure(x, y):
        return linear_cka(Moments(per_location).update(x, y))

    one = certainty(of_examples(measure, x, y), 40, 39, 19)
    other = certainty(of_examples(measure, *maps), 40, 39, 19)
    for name in ("value", "low", "high", "null_mean", "p_value"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name))


def test_what_cannot_be_drawn_is_refused():
    value_of = of_examples(linear_cka, torch.randn(20, 3), torch.randn(20, 3).numpy())
    with pytest.raises(UserError, match="draws are counted from 0 on, got -5 and 0"):
        certainty(value_of, 20, -5)
    with pytest.raises(UserError, match=r"the confidence is a share, such as 0\.95, got 95"):
        certainty(value_of, 20, 39, confidence=95)
    with pytest.raises(UserError, match="there are 20 examples; tell `certainty` of as many"):
        certainty(value_of, 30, 39)
    with pytest.raises(UserError, match="got 20 and 10 rows; use one loader for both"):
        of_examples(linear_cka, torch.randn(20, 3), torch.randn(10, 3))


def test_a_seed_makes_it_the_same_again():
    x, y, _ = planted(20, 3, 1.0)
    value_of = one_by_one(x, y, True)
    one, again, other = (certainty(value_of, 20, 39, 19, seed=seed) for seed in (3, 3, 4))
    for name in ("low", "high", "null_mean", "p_value"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.low, other.low)
    assert not torch.equal(one.null_mean, other.null_mean)


def test_halves_hold_no_example_twice_and_reach_all_of_them():
    drawn = [half for half, same in halves(9, 50) if torch.equal(half, same)]
    assert {len(half.unique()) for half in drawn} == {4}
    assert len(torch.cat(drawn).unique()) == 9
    assert len({tuple(half.sort().values.tolist()) for half in drawn}) <= comb(9, 4)


def test_what_is_not_asked_for_is_none():
    found = certainty(one_by_one(*planted(20, 1, 1.0)[:2], True), 20)
    assert found.low is found.high is found.null_mean is found.p_value is None


def test_halves_that_are_too_small_for_the_measure_give_nan_and_say_so():
    x, y = torch.randn(20, 7, dtype=torch.float64), torch.randn(20, 7, dtype=torch.float64)
    with pytest.warns(UndefinedSimilarityWarning, match="halves of 10 examples 39 of 39 have no"):
        found = certainty(of_examples(mean_cca, x, y), 20, 39, 19)
    assert found.low.isnan()
    assert found.high.isnan()
    assert found.value.isfinite()
    assert found.p_value.isfinite()


def test_one_draw_without_a_value_is_not_left_out_silently():
    x = torch.zeros(8, 1, dtype=torch.float64)
    x[0] = 1  # most halves of 8 examples are constant without it
    y = torch.arange(8.0)[:, None].double()
    with pytest.warns(UndefinedSimilarityWarning, match="of 39 have no value; keep more examples"):
        assert certainty(of_examples(linear_cka, x, y), 8, 39).low.isnan()


def test_a_layer_that_does_not_vary_is_nan_and_its_neighbours_are_not():
    x = [torch.randn(20, 3), torch.full((20, 3), 0.1)]
    y = [torch.randn(20, 4)]
    for unbiased in (True, False):
        pairs = resampled_cka(*stacks(x, y, dtype=torch.float32), unbiased)
        found = certainty(pairs, 20, 39, 19)
        for name in ("value", "low", "high", "null_mean", "p_value", "family_p", "calibrated"):
            assert getattr(found, name).isnan().tolist() == [[False], [True]], name


def test_too_few_draws_or_examples_are_refused():
    value_of = one_by_one(*planted(20, 1, 1.0)[:2], True)
    with pytest.raises(UserError, match="the ends of 95% need 39 draws or more, got 38"):
        certainty(value_of, 20, 38)
    with pytest.raises(UserError, match="at least 2 examples, got 1"):
        certainty(value_of, 1)
