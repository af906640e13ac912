import math

import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.measures import linear_cka, r_squared, unbiased_cka
from frankenstein.moments import Moments

UNITS = 5


def matrix(seed):
    return torch.randn(
        UNITS, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


MOVES = {
    "rotate": lambda z: z @ torch.linalg.qr(matrix(1)).Q,
    "scale": lambda z: 3 * z,
    "shift": lambda z: z + 5 * matrix(2)[0],
    "permute": lambda z: z.roll(1, dims=1),
    "mix": lambda z: z @ (matrix(3) + 3 * torch.eye(UNITS)),
}


@pytest.fixture
def pair():
    """Two representations that are alike, not equal, with units of unlike size."""
    x = torch.randn(200, UNITS, dtype=torch.float64) * torch.tensor([1, 2, 3, 0.5, 1])
    y = x.tanh() + x @ matrix(0) / 4 + torch.randn(200, UNITS, dtype=torch.float64) / 2
    return x, y


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("move", MOVES)
def test_declared_invariances_hold_and_the_others_do_not(name, move, pair):
    x, y = pair
    change = abs(MEASURES[name](MOVES[move](x), y) - MEASURES[name](x, y))
    if move in MEASURES[name].invariant_to:
        assert change < 1e-9
    else:
        assert change > 1e-3


@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if row.symmetric])
@pytest.mark.parametrize("move", MOVES)
def test_symmetric_measures_do_not_feel_the_same_moves_of_the_second_either(name, move, pair):
    x, y = pair
    change = abs(MEASURES[name](x, MOVES[move](y)) - MEASURES[name](x, y))
    assert (change < 1e-9) == (move in MEASURES[name].invariant_to)


@pytest.mark.parametrize("move", MOVES)
def test_r_squared_feels_how_the_units_of_the_second_are_weighed(move, pair):
    x, y = pair
    change = abs(r_squared(x, MOVES[move](y)) - r_squared(x, y))
    assert (change < 1e-9) == (move != "mix")


@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_symmetric_where_they_are_said_to_be(name, pair):
    x, y = pair
    difference = abs(MEASURES[name](x, y) - MEASURES[name](y, x))
    assert (difference < 1e-12) == MEASURES[name].symmetric


@pytest.mark.parametrize("name", MEASURES)
def test_a_representation_is_perfectly_similar_to_itself(name, pair):
    x, y = pair
    assert abs(MEASURES[name](x, x) - MEASURES[name].perfect) < 1e-9
    assert abs(MEASURES[name](x, y) - MEASURES[name].perfect) > 1e-3


@pytest.mark.parametrize("name", MEASURES)
def test_values_are_finite_scalars_within_their_range(name, pair):
    x, y = pair
    low, high = MEASURES[name].range
    for value in (MEASURES[name](x, y), MEASURES[name](-x, y), MEASURES[name](y, x)):
        assert value.shape == ()
        assert math.isfinite(value)
        assert low - 1e-12 <= value <= high + 1e-12


@pytest.mark.parametrize("name", MEASURES)
def test_neither_the_order_nor_the_size_of_batches_matters(name, pair):
    x, y = pair
    whole = MEASURES[name](x, y)
    shuffled = torch.randperm(len(x))
    for order in (torch.arange(len(x)), shuffled):
        for size in (1, 7, 64, 200):
            moments = Moments()
            for rows in order.split(size):
                moments.update(x[rows], y[rows])
            assert abs(MEASURES[name](moments) - whole) <= 1e-12 * max(1, abs(whole))


@pytest.mark.parametrize("name", MEASURES)
def test_moments_and_matrices_give_the_same(name, pair):
    assert torch.equal(MEASURES[name](Moments().update(*pair)), MEASURES[name](*pair))


@pytest.mark.parametrize("name", MEASURES)
def test_measures_leave_their_input_as_it_was(name, pair):
    x, y = pair
    before = x.clone(), y.clone()
    MEASURES[name](x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


def test_few_unrelated_examples_look_alike_to_linear_cka_but_not_to_unbiased_cka():
    pairs = [(torch.randn(50, 100), torch.randn(50, 100)) for _ in range(20)]
    biased = torch.stack([linear_cka(x, y) for x, y in pairs])
    unbiased = torch.stack([unbiased_cka(x, y) for x, y in pairs])
    assert biased.min() > 0.5
    assert unbiased.abs().max() < 0.1
    assert unbiased.mean().abs() < 0.02


def test_both_ckas_agree_where_examples_are_many(pair):
    x, y = (z.repeat(50, 1) + 0.1 * torch.randn(10_000, UNITS) for z in pair)
    assert abs(linear_cka(x, y) - unbiased_cka(x, y)) < 1e-3


@pytest.mark.parametrize("measure", [linear_cka, unbiased_cka])
def test_gradients_equal_finite_differences(measure):
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(measure, (x, y))
