import copy
import math

import pytest
import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures.cka import unbiased_hsic
from frankenstein.shapes import ShapeError, per_location, pooled


def sums(moments):
    """Every sum by name."""
    groups = ("first", "second", "third", "fourth")
    return {f"{g} {key}": s for g in groups for key, s in getattr(moments, g).items()}


def numbers_held(moments):
    """How many numbers the state is made of, and of what size."""
    held = [
        s for value in vars(moments).values() if isinstance(value, dict) for s in value.values()
    ]
    assert all(isinstance(s, Tensor) for s in held)
    return sum(s.untyped_storage().nbytes() for s in held)


@pytest.fixture
def pair():
    x = torch.randn(60, 5, dtype=torch.float64) * 2 + 3
    return x, x[:, :4].tanh() + torch.randn(60, 4, dtype=torch.float64)


def test_the_sums_are_what_the_docstring_says(pair):
    moments = Moments().update(*pair)
    x, y = (z - z.mean(0) for z in pair)
    k, l = x.square().sum(1), y.square().sum(1)  # noqa: E741
    expected = {
        "first x": x.sum(0),
        "first y": y.sum(0),
        "second xx": x.T @ x,
        "second xy": x.T @ y,
        "second yy": y.T @ y,
        "third xx": k @ x,
        "third xy": k @ y,
        "third yx": l @ x,
        "third yy": l @ y,
        "fourth xx": k @ k,
        "fourth xy": k @ l,
        "fourth yy": l @ l,
    }
    found = sums(moments)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-12, atol=1e-9, msg=name)


def test_merging_accumulators_of_other_shifts_equals_one_pass(pair):
    x, y = pair
    drift = torch.linspace(0, 40, len(x), dtype=torch.float64)[:, None]
    x, y = x + drift, y - drift  # so that the shifts of the parts lie far from each other
    whole = Moments().update(x[:7], y[:7])
    whole.update(x[7:], y[7:])
    parts = [Moments().update(x[a:b], y[a:b]) for a, b in ((0, 7), (7, 30), (30, 31), (31, 60))]
    merged = Moments()
    for part in parts:
        merged.merge(part)
    assert merged.n == whole.n
    for name, value in sums(whole).items():
        error = (sums(merged)[name] - value).norm() / value.norm()
        assert error < 1e-10, name


def test_merging_leaves_the_other_accumulator_as_it_was(pair):
    x, y = pair
    other = Moments().update(x[:20], y[:20])
    before = copy.deepcopy(sums(other))
    Moments().merge(other).update(x[20:], y[20:])
    Moments().update(x[20:], y[20:]).merge(other).merge(Moments())
    for name, value in sums(other).items():
        assert torch.equal(value, before[name])


def test_means_and_covariances_are_those_of_the_rows(pair):
    moments = Moments()
    for x, y in zip(pair[0].split(7), pair[1].split(7), strict=True):
        moments.update(x, y)
    expected = torch.cov(torch.cat(pair, 1).T, correction=0)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(moments.mean("x"), pair[0].mean(0), **close)
    torch.testing.assert_close(moments.mean("y"), pair[1].mean(0), **close)
    torch.testing.assert_close(moments.covariance("xx"), expected[:5, :5], **close)
    torch.testing.assert_close(moments.covariance("xy"), expected[:5, 5:], **close)
    torch.testing.assert_close(moments.covariance("yy"), expected[5:, 5:], **close)
    torch.testing.assert_close(moments.variance("x"), expected.diagonal()[:5], **close)


def test_maps_count_as_their_rows_per_location():
    x, y = torch.randn(6, 3, 4, 5), torch.randn(6, 2, 4, 5)
    maps, rows = Moments().update(x, y), Moments().update(per_location(x), per_location(y))
    assert maps.n == rows.n == 6 * 4 * 5
    for name, value in sums(rows).items():
        torch.testing.assert_close(sums(maps)[name], value, rtol=1e-12, atol=1e-9)


def test_another_flattening_is_obeyed():
    x, y = torch.randn(6, 3, 4, 5), torch.randn(6, 2, 2, 2)
    assert Moments(pooled).update(x, y).n == 6
    with pytest.raises(ShapeError, match="an example has 20 places in one and 4 in the other"):
        Moments().update(x, y)


def test_memory_does_not_grow_with_the_number_of_rows():
    few = Moments().update(torch.randn(10, 5), torch.randn(10, 4))
    many = Moments()
    for _ in range(20):
        many.update(torch.randn(1000, 5), torch.randn(1000, 4))
    assert many.n == 20_000
    assert numbers_held(many) == numbers_held(few)


@pytest.mark.parametrize("offset", [0.0, 1e2, 1e4])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_large_offset_in_float32_costs_no_digits(offset, scale):
    x = ((torch.randn(500, 6) + offset) * scale).float()
    moments = Moments()
    for batch in x.split(64):
        moments.update(batch, batch[:, :2])
    expected = torch.cov(x.double().T, correction=0)
    error = (moments.covariance("xx") - expected).norm() / expected.norm()
    assert error < 1e-9


def test_a_constant_unit_has_no_variance_at_all():
    x = torch.randn(100, 4)
    x[:, 1], x[:, 3] = 0.1, -12345.678
    moments = Moments()
    for batch in x.split(7):
        moments.update(batch, batch)
    moments.merge(Moments().update(x, x))
    assert (moments.variance("x") == 0).tolist() == [False, True, False, True]


def test_a_unit_of_size_1e_8_is_not_taken_for_a_constant_one():
    x = 1e-8 * torch.randn(100, 3)
    assert (Moments().update(x, x).variance("x") > 1e-17).all()


def test_no_rows_are_no_examples():
    empty = Moments().update(torch.zeros(0, 3), torch.zeros(0, 2))
    for moments in (Moments(), empty, Moments().merge(empty)):
        assert moments.n == 0
        with pytest.raises(UserError, match="no examples were given; is the data set empty"):
            moments.mean("x")
        with pytest.raises(UserError, match="no examples were given"):
            moments.covariance("xy")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("side", "name"), [(0, "first"), (1, "second")])
def test_nan_and_inf_are_refused_when_the_sums_are_read(pair, value, side, name):
    pair[side][17, 2] = value
    moments = Moments().update(*pair)
    with pytest.raises(UserError, match=f"NaN or Inf in the {name} representation"):
        moments.covariance("xy")


def test_thousands_of_batches_lose_no_digit():
    """What a long sum loses is carried along, or least squares would lose digits to it."""
    rows = torch.full((6000, 1), 0.1, dtype=torch.float64)
    rows[:2] = 0  # the first batch, whose mean is the shift
    moments = Moments()
    for batch in rows.split(2):
        moments.update(batch, batch)
    exact = math.fsum(float(x) ** 2 for x in rows)
    assert float(moments.second["xy"]) == pytest.approx(exact, rel=5e-16, abs=0)


def of_rows_and_of_sums():
    x, y = torch.randn(30, 40, dtype=torch.float64) + 5, torch.randn(30, 20, dtype=torch.float64)
    return Moments.of_rows(x, y), Moments().update(x, y), (x, y)


def check_same(found, expected):
    for pair in ("xx", "xy", "yy"):
        torch.testing.assert_close(found.covariance(pair), expected.covariance(pair))
    for side in "xy":
        torch.testing.assert_close(found.mean(side), expected.mean(side))
        torch.testing.assert_close(found.variance(side), expected.variance(side))
    for pair in ("xx", "xy", "yy"):
        torch.testing.assert_close(unbiased_hsic(found, pair), unbiased_hsic(expected, pair))


def test_moments_that_keep_rows_are_those_of_sums_and_can_grow():
    kept, sums, (x, y) = of_rows_and_of_sums()
    check_same(kept, sums)
    check_same(kept.of_side("y"), Moments().update(y, y))
    check_same(sums.of_side("x"), Moments().update(x, x))
    check_same(
        Moments().update(y, x[:, :20]).merge(Moments.of_rows(y, y)),
        Moments().update(torch.cat([y, y]), torch.cat([x[:, :20], y])),
    )
    check_same(kept.update(x + 1, y - 1), sums.update(x + 1, y - 1))
    assert not kept.rows


def test_frozen_moments_stay_as_they_are_and_know_what_was_made():
    _, sums, (x, y) = of_rows_and_of_sums()
    frozen, expected = sums.frozen(), Moments().update(x, y)
    sums.update(2 * x, y)
    check_same(frozen, expected)
    assert frozen.cached("xy", "it", lambda: 1) == frozen.cached("xy", "it", lambda: 2) == 1
