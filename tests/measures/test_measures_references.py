"""Each measure against its paper's definition, written anew in float64 NumPy."""

import numpy as np
import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.measures import canonical_correlations
from frankenstein.moments import Moments


def gram_cka(x, y):
    """Kornblith et al. 2019, eqs. 3 and 4: HSIC of centred n x n Gram matrices."""
    n = len(x)
    h = np.eye(n) - 1 / n
    k, l = h @ (x @ x.T) @ h, h @ (y @ y.T) @ h  # noqa: E741
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


def song_hsic(x, y):
    """Song et al. 2012, eq. 5, term by term over n x n Gram matrices without their diagonals."""
    n = len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


def song_cka(x, y):
    return song_hsic(x, y) / np.sqrt(song_hsic(x, x) * song_hsic(y, y))


def bjorck_golub(x, y):
    """Björck & Golub 1973: singular values of the product of orthonormal bases."""
    return np.linalg.svd(np.linalg.qr(x)[0].T @ np.linalg.qr(y)[0], compute_uv=False)


def explained(x, y):
    """One minus the residual sum of squares over the total, by numpy's lstsq."""
    residual = y - x @ np.linalg.lstsq(x / x.std(), y, rcond=None)[0] / x.std()
    return 1 - (residual**2).sum() / (y**2).sum()


def pearson(x, y):
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)])


# All but the last are of centred rows: their definitions do not feel a shift, their digits do.
CENTRED = {
    "linear_cka": gram_cka,
    "unbiased_cka": song_cka,
    "mean_cca": lambda x, y: bjorck_golub(x, y).mean(),
    "mean_squared_cca": lambda x, y: (bjorck_golub(x, y) ** 2).mean(),
    "r_squared": explained,
    "unit_correlation": pearson,
}
REFERENCES = {
    name: lambda x, y, f=function: f(x - x.mean(0), y - y.mean(0))
    for name, function in CENTRED.items()
} | {"mean_squared_distance": lambda x, y: ((x - y) ** 2).sum(1).mean()}


def representations(n, offset, scale, dtype):
    """Alike, in units of one size, with a common offset of so many standard deviations."""
    x = torch.randn(n, 6, dtype=torch.float64)
    y = x.tanh() + torch.randn(n, 6, dtype=torch.float64) / 2 + x @ torch.randn(6, 6).double() / 5
    return [((z + offset) * scale).to(dtype) for z in (x, y - 0.5)]


def in_batches(x, y):
    moments = Moments()
    for a, b in zip(x.split(37), y.split(37), strict=True):
        moments.update(a, b)
    return moments


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("offset", [0.0, -30.0, 1e4])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_measures_equal_their_papers(name, offset, scale, dtype, tolerance):
    x, y = representations(150, offset, scale, dtype)
    expected = REFERENCES[name](x.double().numpy(), y.double().numpy())
    for found in (MEASURES[name](x, y), MEASURES[name](in_batches(x, y))):
        assert abs(found - expected) < tolerance * abs(expected)


@pytest.mark.parametrize("name", CENTRED)
def test_one_side_may_be_much_larger_than_the_other(name):
    x, y = representations(150, 3.0, 1.0, torch.float64)
    expected = REFERENCES[name](x.numpy(), y.numpy())
    assert abs(MEASURES[name](1e-8 * x, 1e8 * y) - expected) < 1e-9


@pytest.mark.parametrize("name", ["linear_cka", "unbiased_cka"])
@pytest.mark.parametrize(("n", "d", "e"), [(4, 3, 2), (5, 40, 3), (12, 50, 60), (60, 4, 30)])
def test_ckas_equal_their_gram_forms_where_units_outnumber_examples_too(name, n, d, e):
    x, y = torch.randn(n, d, dtype=torch.float64), torch.randn(n, e, dtype=torch.float64)
    expected = REFERENCES[name](x.numpy(), y.numpy())
    assert abs(MEASURES[name](x, y) - expected) < 1e-9


@pytest.mark.parametrize(("d", "e"), [(5, 5), (3, 8), (8, 3)])
def test_canonical_correlations_equal_the_singular_values_of_bjorck_and_golub(d, e):
    z = torch.randn(100, 3, dtype=torch.float64)
    x, y = (
        torch.cat([z, torch.randn(100, k, dtype=torch.float64)], 1)[:, :k]
        + 0.3 * torch.randn(100, k, dtype=torch.float64)
        for k in (d, e)
    )
    expected = bjorck_golub(x.numpy() - x.numpy().mean(0), y.numpy() - y.numpy().mean(0))
    found = canonical_correlations(Moments().update(x, y)).numpy()
    assert np.abs(found - expected).max() < 1e-9


def test_dead_and_dependent_units_add_no_canonical_correlations():
    x, y = torch.randn(100, 4, dtype=torch.float64), torch.randn(100, 5, dtype=torch.float64)
    more = torch.cat([x, x[:, :1] + x[:, 1:2], torch.full((100, 1), 7.0), x[:, :1]], 1)
    found = canonical_correlations(Moments().update(more, y))
    expected = canonical_correlations(Moments().update(x, y))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
