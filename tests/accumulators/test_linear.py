import numpy as np
import pytest
import torch

from frankenstein.accumulators.linear import least_squares, whitener
from frankenstein.accumulators.moments import Moments


def lstsq(x, y):
    """Weight (E, D) and bias (E,) of least squares with intercept, by numpy."""
    answer = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)[0]
    return answer[:-1].T, answer[-1]


def pseudo_inverse(x, y):
    """The same of minimum norm: the pseudo-inverse of centred x."""
    weight = (np.linalg.pinv(x - x.mean(0), rcond=1e-11) @ (y - y.mean(0))).T
    return weight, y.mean(0) - weight @ x.mean(0)


def solve(x, y, batch=64):
    moments = Moments()
    for a, b in zip(torch.tensor(x).split(batch), torch.tensor(y).split(batch), strict=True):
        moments.update(a, b)
    return [part.numpy() for part in least_squares(moments)]


def check_close(found, expected, tolerance=1e-9):
    for a, b in zip(found, expected, strict=True):
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.fixture
def draw():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("n", "d", "e"), [(50, 4, 3), (1000, 32, 20), (40, 1, 1), (34, 32, 2)])
def test_one_pass_equals_numpy_lstsq(draw, n, d, e):
    x = draw.standard_normal((n, d)) @ draw.standard_normal((d, d)) + 5
    y = draw.standard_normal((n, e)) - 7
    condition = np.linalg.cond(x - x.mean(0))
    assert condition < 1e4  # beyond, covariances square away what is asked for here
    check_close(solve(x, y), lstsq(x, y))


def test_units_of_unlike_size_are_all_used(draw):
    x = draw.standard_normal((300, 6))
    y = x @ draw.standard_normal((6, 2)) + draw.standard_normal((300, 2))
    size = np.array([1e-8, 1, 1e8, 1, 1e-8, 1e4])
    weight, bias = solve(x * size, y)
    check_close((weight * size, bias), lstsq(x, y))


DEFICIENT = {
    "dead": lambda x, draw: x * ([1.0] * 5 + [0.0]),
    "constant": lambda x, draw: x * ([1.0] * 5 + [0.0]) + 0.1,
    "duplicated": lambda x, draw: x[:, [0, 1, 2, 0, 1, 0]],
    "dependent": lambda x, draw: np.c_[x[:, :4], x[:, :4] @ draw.standard_normal((4, 2))],
    "duplicated at other sizes": lambda x, draw: x[:, [0, 1, 2, 0, 1, 0]] * [1, 1, 1, 10, 0.1, 1],
    "of few examples": lambda x, draw: x[:4],
    "of one example": lambda x, draw: x[:1],
}


@pytest.mark.parametrize("kind", DEFICIENT)
@pytest.mark.parametrize("seed", range(5))
def test_where_many_maps_are_best_the_one_of_minimum_norm_is_taken(kind, seed):
    draw = np.random.default_rng(seed)
    x = DEFICIENT[kind](draw.standard_normal((200, 6)), draw)
    y = draw.standard_normal((len(x), 3))
    if len(x) == 1:
        assert np.array_equal(solve(x, y)[0], np.zeros((3, 6)))
    else:
        check_close(solve(x, y), pseudo_inverse(x, y))


@pytest.mark.parametrize("seed", range(5))
def test_dependent_units_are_noticed_over_many_rows(seed):
    # Sums of 20,000 rows leave some 20 units of rounding in an eigenvalue that ought to be 0.
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((20_000, 2))
    x = np.c_[x, x @ draw.standard_normal((2, 1))]
    y = draw.standard_normal((20_000, 3))
    check_close(solve(x, y, batch=256), pseudo_inverse(x, y))


def test_whitened_units_have_unit_covariance_and_the_rank_of_the_data(draw):
    x = draw.standard_normal((200, 6)) * [1e-8, 1, 1e6, 1, 0, 1]
    x[:, 5] = x[:, 1] + x[:, 3]
    moments = Moments().update(torch.tensor(x), torch.tensor(x[:, :1]))
    white = whitener(moments, "x")
    assert white.shape == (6, 4)
    identity = white.T @ moments.covariance("xx") @ white
    torch.testing.assert_close(identity, torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-9)


FEW = {
    "plain": lambda x: x,
    "of rows that come again": lambda x: np.r_[x[:40], x[:20], x[:1]],
    "with dead and constant units": lambda x: x * (np.arange(x.shape[1]) % 3 > 0) + 0.1,
    "with units twice": lambda x: x[:, np.arange(x.shape[1]) // 2],
    "of units of unlike size": lambda x: x * 10.0 ** (np.arange(x.shape[1]) % 5 - 2),
    "of one row": lambda x: x[:1],
    "that do not vary": lambda x: np.full_like(x, 0.1),
}


@pytest.mark.parametrize("kind", FEW)
def test_fewer_rows_than_units_give_the_map_of_minimum_norm(draw, kind):
    x = FEW[kind](draw.standard_normal((60, 700)) + 3)
    y = draw.standard_normal((len(x), 30)) - 7
    moments = Moments.of_rows(torch.tensor(x), torch.tensor(y))
    found = [part.numpy() for part in least_squares(moments)]
    if kind in ("of one row", "that do not vary"):
        assert np.array_equal(found[0], np.zeros((30, 700)))
        assert np.allclose(found[1], y.mean(0), rtol=0, atol=1e-12)
    else:
        check_close(found, pseudo_inverse(x, y))


def test_few_rows_are_whitened_as_their_sums_are(draw):
    x = torch.tensor(draw.standard_normal((60, 700)) * 10.0 ** (np.arange(700) % 5 - 2))
    x[:, 3], x[30:40] = 0.1, x[:10]
    moments = Moments.of_rows(x, x[:, :1])
    white = whitener(moments, "x")
    assert white.shape == (700, 49)
    identity = white.T @ moments.covariance("xx") @ white
    torch.testing.assert_close(identity, torch.eye(49, dtype=torch.float64), rtol=0, atol=1e-9)
