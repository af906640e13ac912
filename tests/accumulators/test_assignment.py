import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.linear import first_best


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (5, 9), (9, 5), (40, 60)])
def test_what_is_not_tied_is_what_scipy_says(shape):
    for seed in range(20):
        gain = draw(*shape, seed=seed)
        expected = np.stack(linear_sum_assignment(gain.numpy(), maximize=True))
        assert assignment(gain).tolist() == expected.tolist()


@pytest.mark.parametrize("shape", [(6, 6), (6, 9), (9, 6), (0, 3), (0, 0)])
def test_where_all_is_tied_every_row_has_its_own_number(shape):
    own = list(range(min(shape)))
    assert assignment(torch.zeros(shape)).tolist() == [own, own]
    assert assignment(torch.full(shape, -2.0)).tolist() == [own, own]


def test_tied_rows_keep_their_numbers_first_and_their_order_then():
    gain = torch.zeros(5, 5)
    gain[0, 3] = 1  # rows 1, 2 and 4 keep theirs; 3 has what is left
    assert assignment(gain)[1].tolist() == [3, 1, 2, 0, 4]
    gain = torch.zeros(4, 4)
    gain[2, 0] = gain[3, 1] = 1
    assert assignment(gain)[1].tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("shape", [(12, 12), (12, 17), (17, 12)])
def test_rounding_does_not_choose_between_equals(shape):
    plain = draw(*shape)
    plain[3] = plain[8]  # twins among rows and among columns, and dead ones
    plain[:, 1] = plain[:, 5]
    plain[[2, 6]], plain[:, [0, 9]] = 0, 0
    expected = assignment(plain)
    best = plain[tuple(linear_sum_assignment(plain.numpy(), maximize=True))].sum()
    assert plain[tuple(expected)].sum() == pytest.approx(float(best), abs=1e-12)
    for seed in range(100):
        noise = 1 + 1e-12 * draw(*shape, seed=seed)
        assert torch.equal(assignment(plain * noise), expected)
        assert torch.equal(assignment(plain + (noise - 1)), expected)


def test_a_gain_of_more_than_rounding_is_taken():
    gain = torch.eye(4, dtype=torch.float64)
    gain[0, 1] = gain[1, 0] = 1 + 1e-7
    assert assignment(gain)[1].tolist() == [1, 0, 2, 3]
    gain[0, 1] = gain[1, 0] = 1 + 1e-11
    assert assignment(gain)[1].tolist() == [0, 1, 2, 3]


def test_the_best_of_a_row_is_the_first_of_equals():
    gain = torch.tensor([[0.0, 0, 0], [1, 1 + 1e-12, 0], [1, 1 + 1e-6, 0], [-3, -2, -2]])
    assert first_best(gain.double()).tolist() == [0, 0, 1, 1]
    assert first_best(torch.full((1, 3), -torch.inf)).tolist() == [0]
