"""Spread, covariance and ridges behind closed forms, against float64 references of their own."""

import numpy as np
import pytest
import scipy.linalg
import torch

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.numbered import parts_of
from frankenstein.accumulators.ridge import PENALTIES, ridge_regression
from frankenstein.errors import UserError
from frankenstein.stitches import Affine, LowRank, Matched, Orthogonal, Sparse
from frankenstein.stitches.put_right import match_covariance, match_spread

MAKE = {
    "affine": lambda: Affine(6, 5),
    "low_rank": lambda: LowRank(6, 5, rank=2),
    "semi-match": lambda: Matched(6, 5, "semi-match"),
    "match": lambda: Matched(6, 5, "match"),
    "sparse": lambda: Sparse(6, 5, l1=2.0),
}


@pytest.fixture
def rows():
    x = torch.randn(400, 6).double() + 3
    y = x @ torch.randn(6, 5).double() + 4 * torch.randn(400, 5).double() - 7
    return x, y


@pytest.fixture
def moments(rows):
    return Moments().update(*rows).frozen()


def stitched(stitch, x):
    with torch.no_grad():
        return stitch.double()(x)


@pytest.mark.parametrize("family", MAKE)
def test_every_unit_has_the_targets_spread_and_keeps_its_mean(family, rows, moments):
    x, y = rows
    plain = stitched(MAKE[family]().solve(moments), x)
    right = stitched(match_spread(MAKE[family]().solve(moments), moments), x)
    assert (plain.std(0) < 0.95 * y.std(0)).all()
    torch.testing.assert_close(right.std(0), y.std(0), rtol=1e-5, atol=0)
    torch.testing.assert_close(right.mean(0), y.mean(0), rtol=1e-5, atol=1e-5)
    # Each unit is what it was, scaled.
    scaled = (plain - plain.mean(0)) / plain.std(0) * y.std(0) + plain.mean(0)
    torch.testing.assert_close(right, scaled, rtol=1e-4, atol=1e-4)


def test_the_whole_covariance_is_the_targets_by_the_map_of_gaussian_transport(rows, moments):
    x, y = rows
    plain = stitched(Affine(6, 5).solve(moments), x)
    right = stitched(match_covariance(Affine(6, 5).solve(moments), moments), x)
    torch.testing.assert_close(right.T.cov(), y.T.cov(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(right.mean(0), y.mean(0), rtol=1e-5, atol=1e-5)
    p, c = (np.cov(z.numpy().T, bias=True) for z in (plain, y))
    root = scipy.linalg.sqrtm(p).real
    inverse = np.linalg.inv(root)
    transport = inverse @ scipy.linalg.sqrtm(root @ c @ root).real @ inverse
    expected = (plain - plain.mean(0)).numpy() @ transport.T + plain.mean(0).numpy()
    np.testing.assert_allclose(right.numpy(), expected, rtol=1e-4, atol=1e-4)


def test_a_low_rank_stitch_stays_of_its_rank_and_has_the_covariance_of_its_directions(
    rows, moments
):
    x, y = rows
    stitch = match_covariance(LowRank(6, 5, rank=2).solve(moments), moments)
    right = stitched(stitch, x)
    spread = torch.linalg.eigvalsh(right.T.cov())
    assert (spread[:3] < 1e-6 * spread[-1]).all()
    basis = torch.linalg.qr(stitch.up).Q
    within = basis.T @ y.T.cov() @ basis
    torch.testing.assert_close(basis.T @ right.T.cov() @ basis, within, rtol=1e-4, atol=1e-4)


def test_what_does_not_vary_stays_as_it_is():
    x = torch.randn(60, 2).double()
    x[:, 1] = 0.3
    y = torch.stack([x[:, 0] + torch.randn(60).double(), torch.full((60,), 2.0).double()], 1)
    moments = Moments().update(x, y)
    for put_right in (match_spread, match_covariance):
        right = stitched(put_right(Affine(2, 2).solve(moments), moments), x)
        assert right.isfinite().all()
        torch.testing.assert_close(right[:, 1], y[:, 1], rtol=1e-6, atol=1e-6)
        assert right[:, 0].std() == pytest.approx(float(y[:, 0].std()), rel=1e-5)


def test_families_of_one_size_or_of_units_apart_say_so(moments):
    square = Moments().update(torch.randn(40, 3), torch.randn(40, 3))
    with pytest.raises(UserError, match="family orthogonal cannot be scaled: its size is fixed"):
        match_spread(Orthogonal(3, 3).solve(square), square)
    with pytest.raises(UserError, match="keeps them apart; take match_spread"):
        match_covariance(Matched(6, 5, "match").solve(moments), moments)


def ridge_by_hand(x, y, penalty):
    """From the normal equations, with the penalty over the whole variance of x."""
    x, y = x.numpy(), y.numpy()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x = x - mean_x
    own = x.T @ x / len(x)
    strength = penalty * np.trace(own)
    weight = np.linalg.solve(own + strength * np.eye(len(own)), x.T @ (y - mean_y) / len(x)).T
    return weight, mean_y - weight @ mean_x


@pytest.mark.parametrize("n", [30, 200])
def test_the_ridge_is_that_of_least_error_over_parts_fitted_to_all(n):
    x = torch.randn(n, 20).double() * torch.linspace(0.1, 3, 20).double() + 1
    y = x @ torch.randn(20, 3).double() + 5 * torch.randn(n, 3).double()
    folds = Folds()
    for rows in torch.arange(n).split(17):
        folds.update(x[rows], y[rows])
    weight, bias, penalty = ridge_regression(folds)
    part = parts_of(torch.arange(n), 5)
    errors = []
    for candidate in PENALTIES:
        error = 0.0
        for i in range(5):
            w, b = ridge_by_hand(x[part != i], y[part != i], candidate)
            error += ((x[part == i].numpy() @ w.T + b - y[part == i].numpy()) ** 2).sum()
        errors.append(error)
    assert penalty == PENALTIES[int(np.argmin(errors))]
    expected = ridge_by_hand(x, y, penalty)
    np.testing.assert_allclose(weight.numpy(), expected[0], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(bias.numpy(), expected[1], rtol=1e-8, atol=1e-9)


def test_a_ridge_predicts_better_than_least_squares_near_as_many_rows_as_units():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1000, 40, generator=draw).double()
    y = x @ torch.randn(40, 5, generator=draw).double() / 6
    y = y + torch.randn(1000, 5, generator=draw)
    folds = Folds().update(x[:45], y[:45])
    weight, bias, _ = ridge_regression(folds)
    plain = stitched(Affine(40, 5).solve(folds.without()), x[45:])
    errors = [((z - y[45:]) ** 2).mean() for z in (x[45:] @ weight.T + bias, plain)]
    assert errors[0] < 0.5 * errors[1]
    with pytest.raises(UserError, match="5 parts, and 3 examples do not fill them"):
        ridge_regression(Folds().update(x[:3], y[:3]))
