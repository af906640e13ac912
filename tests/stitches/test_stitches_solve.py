from itertools import pairwise

import pytest
import torch
from scipy.linalg import orthogonal_procrustes

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.shapes import ShapeError
from frankenstein.stitches import Affine, Identity, LowRank, Orthogonal, Permutation, Rotation

D = 6


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def error(stitch, x, y):
    return (stitch(x) - y).square().mean()


def solved(stitch, x, y):
    return stitch.double().solve(Moments().update(x, y))


@pytest.fixture(params=range(3))
def pair(request):
    """Source and target, neither isotropic nor centred."""
    torch.manual_seed(request.param)
    x = normal(200, D) @ normal(D, D) + 2
    return x, x.roll(1, dims=1) + (x @ normal(D, D)).tanh() + normal(200, D) - 1


def test_larger_families_fit_no_worse(pair):
    affine, orthogonal = (error(solved(f(D, D), *pair), *pair) for f in (Affine, Orthogonal))
    permutation, identity = (error(solved(f(D, D), *pair), *pair) for f in (Permutation, Identity))
    assert affine <= orthogonal <= min(permutation, identity)
    for rank in range(1, D):
        assert affine <= error(solved(LowRank(D, D, rank), *pair), *pair)


def test_no_member_of_the_family_nearby_is_better(pair):
    """Affine, LowRank and Orthogonal are least squares within their family."""
    x, y = pair
    for stitch in (Affine(D, D), LowRank(D, D, 2), Orthogonal(D, D)):
        best = error(solved(stitch, x, y), x, y)
        for _ in range(20):
            weight, bias = stitch.affine_map()
            other = type(stitch)(D, D, **stitch.options).double()
            other.approximate(weight + 1e-2 * normal(D, D), bias + 1e-2 * normal(D))
            assert error(other, x, y) >= best


def test_error_falls_with_rank_down_to_that_of_affine(pair):
    affine = solved(Affine(D, D), *pair)
    errors = [error(solved(LowRank(D, D, rank), *pair), *pair) for rank in range(1, D + 1)]
    assert all(a > b for a, b in pairwise(errors))
    weight, bias = solved(LowRank(D, D, D), *pair).affine_map()
    torch.testing.assert_close(weight, affine.weight, rtol=0, atol=1e-9)
    torch.testing.assert_close(bias, affine.bias, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("d", "e"), [(7, 3), (3, 7)])
def test_full_rank_is_affine_for_unequal_numbers_of_units_too(d, e):
    x, y = normal(100, d), normal(100, e)
    weight, bias = solved(LowRank(d, e, 3), x, y).affine_map()
    affine = solved(Affine(d, e), x, y)
    torch.testing.assert_close(weight, affine.weight, rtol=0, atol=1e-9)
    torch.testing.assert_close(bias, affine.bias, rtol=0, atol=1e-9)


def truncated(rank, x, y):
    """Least squares with its own SVD cut, and the best bias for what is left."""
    weight, bias = least_squares(Moments().update(x, y))
    stitch = LowRank(D, D, rank).double().approximate(weight, bias)
    stitch.bias.data += (y - stitch(x)).mean(0)
    return stitch


def test_reduced_rank_regression_is_no_worse_than_cutting_the_svd_of_the_map(pair):
    for rank in range(1, D + 1):
        best = error(solved(LowRank(D, D, rank), *pair), *pair)
        assert best <= error(truncated(rank, *pair), *pair) + 1e-12


def test_and_much_better_where_the_source_varies_most_along_what_the_map_shrinks():
    x = normal(200, D) * torch.tensor([100, 1, 1, 1, 1, 1])
    y = x * torch.tensor([0.1, 1, 1, 1, 1, 1])
    assert error(solved(LowRank(D, D, 1), x, y), x, y) < 0.1 * error(truncated(1, x, y), x, y)


def test_solved_stitches_have_no_mean_error(family, pair):
    stitch = solved(family(D, D), *pair)
    if stitch.affine_map()[1] is not None:
        assert (stitch(pair[0]) - pair[1]).mean(0).abs().max() < 1e-9


def test_a_network_stitched_to_itself_is_matched_without_error(family):
    x = normal(100, D) * torch.arange(1, D + 1)
    stitch = solved(family(D, D), x, x)
    if family.name not in ("low_rank", "sparse"):
        assert error(stitch, x, x) < 1e-20
    assert error(stitch, x, x) < x.var()


@pytest.mark.parametrize("out", [D, 3])
def test_a_planted_permutation_is_recovered(out):
    x = normal(300, D) * 10.0 ** torch.arange(-3, 3) + 5
    order = torch.randperm(D)[:out]
    y = 7 * x[:, order] + x[:, order].std(0) * normal(300, out) - 1  # other scale and shift
    assert torch.equal(solved(Permutation(D, out), x, y).order, order)


def test_dead_units_do_not_disturb_a_permutation():
    x = normal(300, D)
    x[:, 2] = 0
    order = torch.randperm(D)
    found = solved(Permutation(D, D), x, x[:, order]).order
    assert torch.equal(found, order)


def test_a_planted_rotation_is_recovered():
    rotation, x = torch.linalg.qr(normal(D, D)).Q, normal(300, D) * torch.arange(1, D + 1)
    stitch = solved(Orthogonal(D, D), x, x @ rotation.T + 3)
    torch.testing.assert_close(stitch.weight, rotation, rtol=0, atol=1e-9)
    torch.testing.assert_close(stitch.bias, 3 * torch.ones(D).double(), rtol=0, atol=1e-9)


def test_a_rotation_about_the_origin_is_scipys_of_the_rows_as_they_are(pair):
    x, y = pair  # neither is centred
    stitch = solved(Rotation(D, D), x, y)
    expected, _ = orthogonal_procrustes(x.numpy(), y.numpy())
    torch.testing.assert_close(stitch.weight, torch.from_numpy(expected).T, rtol=0, atol=1e-9)
    assert stitch.affine_map()[1] is None
    assert error(stitch, x, y) > error(solved(Orthogonal(D, D), x, y), x, y)


def test_a_planted_low_rank_map_is_recovered():
    planted, x = normal(5, 2) @ normal(2, D), normal(300, D) @ normal(D, D)
    weight, bias = solved(LowRank(D, 5, 2), x, x @ planted.T - 4).affine_map()
    torch.testing.assert_close(weight, planted, rtol=0, atol=1e-9)
    torch.testing.assert_close(bias, -4 * torch.ones(5).double(), rtol=0, atol=1e-9)


def test_solving_maps_is_solving_their_rows_per_location(family):
    x, y = normal(8, D, 4, 3), normal(8, D, 4, 3)
    rows = [z.movedim(1, -1).reshape(-1, D) for z in (x, y)]
    a, b = solved(family(D, D), x, y), solved(family(D, D), *rows)
    torch.testing.assert_close(a(x), b(x), rtol=0, atol=1e-9)


def test_moments_of_other_numbers_of_units_are_refused(family):
    stitch = family(D, D)
    with pytest.raises(ShapeError, match="goes from 6 to 6 units, got moments of 6 and 5"):
        stitch.solve(Moments().update(normal(9, D), normal(9, 5)))


@pytest.mark.parametrize("d", [40, 20])
def test_few_rows_are_solved_as_their_sums_are(d):
    x = normal(15, d)
    x[:, 3], x[10:] = 0.1, x[:5]  # a dead unit, and rows that come again
    y = x @ normal(d, 30) + normal(15, 30)
    makers = (lambda: Affine(d, 30), lambda: LowRank(d, 30, 4), lambda: LowRank(d, 30, 18))
    for make in makers:
        one = make().double().solve(Moments.of_rows(x, y))
        other = make().double().solve(Moments().update(x, y))
        for a, b in zip(one.affine_map(), other.affine_map(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-9)
