"""What the data leave open is answered as the family says, whatever rounding does."""

import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.stitches import LowRank, Matched, Orthogonal, Permutation, start

D = 8
MAKERS = {
    "orthogonal": lambda d, e: Orthogonal(d, e),
    "permutation": lambda d, e: Permutation(d, e),
    "match": lambda d, e: Matched(d, e, "match"),
    "semi-match": lambda d, e: Matched(d, e, "semi-match"),
    "low_rank": lambda d, e: LowRank(d, e, 6),
}


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def pair(kind):
    """Source and target that leave something open."""
    x = normal(60, D) * torch.arange(1, D + 1)
    y = x @ normal(D, D, seed=1) + normal(60, D, seed=2)
    if kind == "dead in the source":
        x[:, 2] = 0
    elif kind == "dead in the target":
        y[:, [1, 4]] = 0
    elif kind == "dead in both":
        x[:, [2, 5]] = y[:, [2, 5]] = 0
    elif kind == "others are dead in both":
        x[:, [2, 5]] = y[:, [0, 1]] = 0
    elif kind == "twins":
        x[:, 3], y[:, 1] = x[:, 6], y[:, 7]
    elif kind == "dependent":
        x[:, 3], y[:, 6] = x[:, 0] - 2 * x[:, 1], y[:, 7] + y[:, 0]
    elif kind == "few examples":
        x, y = x[:4], y[:4]
    elif kind == "nothing":
        x = torch.zeros_like(x)
    return x, y


KINDS = [
    "dead in the source",
    "dead in the target",
    "dead in both",
    "others are dead in both",
    "twins",
    "dependent",
    "few examples",
    "nothing",
]


def solved(name, x, y):
    stitch = MAKERS[name](x.shape[1], y.shape[1]).double().solve(Moments().update(x, y))
    return {key: value.detach().double() for key, value in stitch.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MAKERS)
def test_rounding_does_not_choose(name, kind):
    x, y = pair(kind)
    expected = solved(name, x, y)
    for seed in range(40):
        one, other = normal(*x.shape, seed=seed), normal(*y.shape, seed=seed + 1000)
        found = solved(name, x * (1 + 1e-12 * one), y * (1 + 1e-12 * other))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MAKERS)
def test_the_order_of_examples_does_not_choose(name, kind):
    x, y = pair(kind)
    expected = solved(name, x, y)
    for seed in range(20):
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
        found = solved(name, x[order], y[order])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [*KINDS, "plain"])
@pytest.mark.parametrize("name", ["orthogonal", "permutation", "match"])
def test_a_network_is_stitched_to_itself_by_the_identity(name, kind):
    for z in pair(kind):
        found = solved(name, z, z)
        if name == "orthogonal":
            torch.testing.assert_close(found["weight"], torch.eye(D).double(), rtol=0, atol=1e-9)
        else:
            order = found["order" if name == "permutation" else "partner"]
            assert order.tolist() == list(range(D))


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotation_that_is_open_is_still_one_of_least_error(kind):
    x, y = pair(kind)
    weight = solved("orthogonal", x, y)["weight"]
    torch.testing.assert_close(weight @ weight.T, torch.eye(D).double(), rtol=0, atol=1e-12)
    cross = Moments().update(x, y).covariance("xy")
    # Schönemann: the largest trace that a rotation reaches is the sum of singular values.
    assert (weight * cross.T).sum().item() == pytest.approx(
        torch.linalg.svdvals(cross).sum().item(), rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_rotation_of_what_is_open_is_nearer_to_the_identity(kind):
    x, y = pair(kind)
    weight = solved("orthogonal", x, y)["weight"]
    u, sizes, v = torch.linalg.svd(Moments().update(x, y).covariance("xy").T)
    left = sizes <= 1e-10 * sizes[0]
    known = u[:, ~left] @ v[~left]
    for seed in range(50):
        turn = torch.linalg.qr(normal(int(left.sum()), int(left.sum()), seed=seed)).Q
        assert (known + u[:, left] @ turn @ v[left]).trace() <= weight.trace() + 1e-9


def test_units_dead_on_one_side_are_paired_in_order():
    x = normal(60, D)
    y = x.clone()
    x[:, [2, 5]] = y[:, [0, 1]] = 0
    weight = solved("orthogonal", x, y)["weight"]
    assert weight[0, 2].item() == pytest.approx(1)
    assert weight[1, 5].item() == pytest.approx(1)
    order = solved("permutation", x, y)["order"].tolist()
    assert [order[i] for i in (3, 4, 6, 7)] == [3, 4, 6, 7]
    assert order[:2] == [0, 1]  # what is left keeps its number, dead or not
    assert order[2:6:3] == [2, 5]


def test_the_rotation_nearest_to_ones_is_the_identity():
    weight = start(Orthogonal(D, D), "ones-zeros").weight
    torch.testing.assert_close(weight, torch.eye(D), rtol=0, atol=1e-6)


def test_factors_of_low_rank_have_a_stated_sign_and_directions_that_nothing_reaches():
    x, y = pair("plain")
    y = y[:, :3] @ normal(3, D, seed=5)  # three directions for a rank of six
    found = solved("low_rank", x, y)
    largest = found["up"].gather(0, found["up"].abs().argmax(0)[None])
    assert (largest > 0).all()
    torch.testing.assert_close(found["up"].T @ found["up"], torch.eye(6).double())
    assert found["down"][3:].abs().max() < 1e-9
    stitch = start(LowRank(D, D, 4), "ones-zeros")
    torch.testing.assert_close(stitch.affine_map()[0], torch.ones(D, D))
    assert not stitch.down[1:].any()
    assert (stitch.up.norm(dim=0)[1:] - 1).abs().max() < 1e-6
