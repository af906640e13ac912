import pytest
import torch
from torch.nn.functional import mse_loss

from frankenstein.accumulators.moments import Moments
from frankenstein.stitches import Affine, Sparse

D, E = 6, 4


@pytest.fixture
def pair():
    x = torch.randn(200, D, dtype=torch.float64) @ torch.randn(D, D, dtype=torch.float64) + 1
    return x, x @ torch.randn(D, E, dtype=torch.float64) + torch.randn(200, E).double() - 2


def solved(l1, x, y):
    return Sparse(x.shape[1], y.shape[1], l1).double().solve(Moments().update(x, y))


def soft(weight, threshold):
    return torch.where(weight > threshold, weight - threshold, 0) + torch.where(
        weight < -threshold, weight + threshold, 0
    )


def check_optimal(stitch, x, y, tolerance=1e-6):
    """Where the lasso is solved, 0 is a subgradient: KKT, with gradients by autograd."""
    loss = mse_loss(stitch(x), y)
    gradient, bias_gradient = torch.autograd.grad(loss, (stitch.weight, stitch.bias))
    bound = stitch.l1 / stitch.weight.numel()
    used = stitch.weight != 0
    assert bias_gradient.abs().max() < tolerance
    assert gradient.abs().max() < bound + tolerance
    assert (gradient + bound * stitch.weight.sign())[used].abs().amax() < tolerance


@pytest.mark.parametrize("l1", [0.01, 0.3, 3.0])
def test_the_lassos_optimality_conditions_hold(pair, l1):
    check_optimal(solved(l1, *pair), *pair)


@pytest.mark.parametrize("l1", [0.01, 1.0])
def test_they_hold_for_dead_and_duplicated_units_and_few_examples_too(pair, l1):
    x, y = pair
    dead = torch.cat([x[:, :3], x[:, :2], 0 * x[:, :1]], 1)
    check_optimal(solved(l1, dead, y), dead, y)
    check_optimal(solved(l1, x[:4], y[:4]), x[:4], y[:4])


def test_one_unit_to_one_unit_is_soft_thresholding():
    x = torch.tensor([[-1.0], [1.0]]).double()
    for slope, l1, expected in ((2, 1, 1.5), (-2, 1, -1.5), (0.4, 1, 0)):
        assert abs(solved(l1, x, slope * x).weight.item() - expected) < 1e-9


def test_without_a_penalty_it_is_affine(pair):
    affine = Affine(D, E).double().solve(Moments().update(*pair))
    sparse = solved(0.0, *pair)
    assert torch.equal(sparse.weight, affine.weight)
    assert torch.equal(sparse.bias, affine.bias)


def test_more_penalty_means_more_exact_zeros_and_more_error(pair):
    x, y = pair
    stitches = [solved(l1, x, y) for l1 in (0.0, 1.0, 10.0, 100.0, 1e5)]
    zeros = [(s.weight == 0).sum().item() for s in stitches]
    errors = [mse_loss(s(x), y).item() for s in stitches]
    sizes = [s.weight.abs().sum().item() for s in stitches]
    assert zeros == sorted(zeros)
    assert errors == sorted(errors)
    assert sizes == sorted(sizes, reverse=True)
    assert (zeros[0], zeros[-1]) == (0, D * E)


def test_a_planted_sparse_map_is_recovered():
    x = torch.randn(500, D, dtype=torch.float64)
    planted = torch.zeros(E, D, dtype=torch.float64)
    planted[[0, 1, 1, 3], [2, 0, 5, 3]] = torch.tensor([2, -1, 1, 3]).double()
    y = x @ planted.T + 0.05 * torch.randn(500, E).double()
    found = solved(0.5, x, y).weight
    assert torch.equal(found != 0, planted != 0)
    assert (found - planted).abs().max() < 0.1


def test_a_step_of_sgd_is_the_step_of_ista(pair):
    x, y = pair
    stitch, lr = Sparse(D, E, l1=5.0).double(), 0.01
    weight, bias = stitch.weight.detach().clone(), stitch.bias.detach().clone()
    optimizer = torch.optim.SGD(stitch.parameters(), lr=lr)
    mse_loss(stitch(x), y).backward()
    optimizer.step()
    stitch.after_step(optimizer)
    residual = x @ weight.T + bias - y
    stepped = weight - lr * 2 * residual.T @ x / residual.numel()
    expected = soft(stepped, lr * 5.0 / (D * E))
    torch.testing.assert_close(stitch.weight.detach(), expected, rtol=0, atol=1e-12)
    shifted = bias - lr * 2 * residual.sum(0) / residual.numel()
    torch.testing.assert_close(stitch.bias.detach(), shifted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "lr", "near"), [(torch.optim.SGD, 1.0, 1e-3), (torch.optim.Adam, 0.1, 2e-2)]
)
def test_fitted_by_gradient_it_arrives_where_it_is_solved(make, lr, near):
    x = torch.randn(50, D, dtype=torch.float64)
    y = x @ torch.randn(D, E).double() + torch.randn(50, E)
    stitch, best = Sparse(D, E, l1=20.0).double(), solved(20.0, x, y)
    optimizer = make(stitch.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 100)
    for _ in range(300):
        optimizer.zero_grad()
        mse_loss(stitch(x), y).backward()
        optimizer.step()
        stitch.after_step(optimizer)
        schedule.step()
    torch.testing.assert_close(stitch.weight, best.weight, rtol=0, atol=near)
    assert torch.equal(stitch.weight == 0, best.weight == 0)
    assert 0 < (best.weight == 0).sum() < D * E
