import copy

import pytest
import torch
from torch.nn.functional import mse_loss

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.stitches import STARTS, Affine, Orthogonal, Permutation, start

D = 6


def parts(stitch):
    weight, bias = stitch.affine_map()
    return weight.detach().double(), None if bias is None else bias.detach()


def same_state(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_eye_is_the_member_nearest_to_the_unit_matrix(family):
    stitch = start(family(D, D), "eye")
    weight, bias = parts(stitch)
    assert bias is None or not bias.any()
    if family.name == "low_rank":
        assert abs((weight - torch.eye(D)).square().sum() - (D - 2)) < 1e-9
    elif family.name == "matched":  # nearest under its mask
        mask = torch.nn.functional.one_hot(stitch.partner, D)
        assert torch.equal(weight, torch.eye(D) * mask.double())
    else:
        torch.testing.assert_close(weight, torch.eye(D).double(), rtol=0, atol=1e-6)


def test_perm_is_the_member_nearest_to_a_random_permutation(family):
    stitch = start(family(D, D), "perm")
    weight, bias = parts(stitch)
    assert bias is None or not bias.any()
    if family.name == "low_rank":
        expected = torch.tensor([1, 1, 0, 0, 0, 0]).double()
        torch.testing.assert_close(torch.linalg.svdvals(weight), expected, rtol=0, atol=1e-6)
    elif family.name not in ("identity", "matched"):
        assert (weight.round().sum(0) == 1).all()
        assert (weight.round().sum(1) == 1).all()
        assert (weight - weight.round()).abs().max() < 1e-6
        assert (weight.round() != torch.eye(D)).any()


def test_random_leaves_the_stitch_as_it_was_made(family):
    stitch = family(D, D)
    before = copy.deepcopy(stitch)
    assert same_state(start(stitch, "random"), before)


def test_solved_is_direct_matching(family):
    moments = Moments().update(torch.randn(50, D), torch.randn(50, D))
    assert same_state(start(family(D, D), "solved", moments), family(D, D).solve(moments))


@pytest.mark.parametrize("how", STARTS)
def test_every_start_returns_the_stitch_itself(family, how):
    stitch = family(D, D)
    moments = Moments().update(torch.randn(50, D), torch.randn(50, D))
    assert start(stitch, how, moments) is stitch
    assert stitch(torch.ones(2, D).double()).isfinite().all()


@pytest.mark.parametrize("how", ["eye", "perm"])
@pytest.mark.parametrize(("d", "e"), [(5, 3), (3, 5)])
def test_unequal_numbers_of_units_keep_as_many_as_both_have(how, d, e):
    weight, _ = parts(start(Affine(d, e), how))
    assert weight.sum() == min(d, e)
    assert set(weight.flatten().tolist()) == {0, 1}
    assert weight.sum(0).max() == weight.sum(1).max() == 1
    if d > e:
        order = start(Permutation(d, e), "eye").order
        assert torch.equal(order, torch.arange(e))


def test_an_orthogonal_stitch_stays_one_while_it_is_fitted():
    x = torch.randn(200, D)
    rotation = torch.linalg.qr(torch.randn(D, D)).Q
    y = x @ rotation.T + 1
    stitch = Orthogonal(D, D)
    if torch.linalg.det(stitch.weight) * torch.linalg.det(rotation) < 0:
        rotation[0] *= -1  # gradient steps do not get from rotations to reflections
        y = x @ rotation.T + 1
    optimizer = torch.optim.SGD(stitch.parameters(), lr=0.5)
    first = mse_loss(stitch(x), y).item()
    for _ in range(60):
        optimizer.zero_grad()
        mse_loss(stitch(x), y).backward()
        optimizer.step()
        stitch.after_step(optimizer)
        excess = stitch.weight @ stitch.weight.T - torch.eye(D)
        assert excess.abs().max() < 1e-6
    assert mse_loss(stitch(x), y) < 1e-3 * first


def test_unknown_starts_are_refused():
    known = "known: random, eye, perm, ones-zeros, solved"
    with pytest.raises(UserError, match=f"unknown start 'ones'; {known}"):
        start(Affine(2, 2), "ones")


def test_solved_needs_moments():
    with pytest.raises(UserError, match='"solved" needs moments of source and target'):
        start(Affine(2, 2), "solved")
