"""Stitches of one source unit for each target unit, against NumPy on the rows themselves."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError
from frankenstein.stitches import (
    RULES,
    STARTS,
    Affine,
    Matched,
    Permutation,
    load_stitch,
    save_stitch,
    start,
)

D, E = 7, 5
BY_DATA = [rule for rule in RULES if rule != "random-permutation"]


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def rows(d=D, e=E, n=150):
    """Source and target that correlate with either sign, of unlike scale and mean."""
    x = normal(n, d) * torch.rand(d).add(0.1) + normal(d)
    return x, (x @ normal(d, e) + normal(n, e)) * torch.rand(e).add(0.1) - 3


def matched(rule, d=D, e=E):
    return Matched(d, e, rule).double()


def solved(rule, x, y):
    return Matched(x.shape[1], y.shape[1], rule).double().solve(Moments().update(x, y))


def correlations(x, y):
    """(D, E), by NumPy."""
    return np.corrcoef(x.numpy(), y.numpy(), rowvar=False)[: x.shape[1], x.shape[1] :]


def error(stitch, x, y):
    return (stitch(x) - y).square().mean().item()


def same_state(one, other):
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("rule", RULES)
def test_one_number_in_every_row_at_the_partner(rule):
    stitch = solved(rule, *rows())
    weight, bias = stitch.affine_map()
    assert ((weight != 0).sum(1) == 1).all()
    assert torch.equal(weight.abs().argmax(1), stitch.partner)
    x = normal(4, D)
    expected = x[:, stitch.partner] * stitch.scale + stitch.bias
    torch.testing.assert_close(stitch(x), expected, rtol=0, atol=1e-12)
    assert torch.equal(bias, stitch.bias)


@pytest.mark.parametrize("rule", BY_DATA)
def test_a_planted_order_scale_and_shift_is_recovered(rule):
    x, order = normal(100, D), torch.randperm(D)[:E]
    scale, bias = torch.rand(E).add(0.5).double(), normal(E)
    if rule == "abs-semi-match":
        scale[::2] *= -1
    stitch = solved(rule, x, x[:, order] * scale + bias)
    assert torch.equal(stitch.partner, order)
    torch.testing.assert_close(stitch.scale.data, scale, rtol=0, atol=1e-12)
    torch.testing.assert_close(stitch.bias.data, bias, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("d", "e"), [(7, 5), (6, 6), (4, 9)])
def test_semi_match_takes_the_largest_correlation_and_may_share_it(d, e):
    for _ in range(5):
        x, y = rows(d, e)
        correlation = correlations(x, y)
        found = solved("semi-match", x, y).partner
        assert found.tolist() == correlation.argmax(0).tolist()
        found = solved("abs-semi-match", x, y).partner
        assert found.tolist() == np.abs(correlation).argmax(0).tolist()
        if e > d:
            assert len(set(found.tolist())) < e


def test_the_two_semi_matches_differ_where_the_best_partner_is_an_opposite():
    x = normal(100, 2)
    y = torch.stack([-x[:, 0] + 0.2 * x[:, 1], x[:, 1]], 1)
    assert solved("semi-match", x, y).partner.tolist() == [1, 1]
    assert solved("abs-semi-match", x, y).partner.tolist() == [0, 1]
    assert solved("abs-semi-match", x, y).scale[0] < 0


@pytest.mark.parametrize(("d", "e"), [(7, 5), (6, 6)])
def test_match_is_the_one_to_one_assignment_of_largest_total_correlation(d, e):
    for _ in range(5):
        x, y = rows(d, e)
        target, source = linear_sum_assignment(correlations(x, y).T, maximize=True)
        assert target.tolist() == list(range(e))
        stitch = solved("match", x, y)
        assert stitch.partner.tolist() == source.tolist()
        assert torch.equal(stitch.partner, Permutation(d, e).solve(Moments().update(x, y)).order)


@pytest.mark.parametrize(("d", "e"), [(7, 5), (30, 30)])
def test_a_random_permutation_is_a_permutation_and_no_data_changes_it(d, e):
    stitches = [matched("random-permutation", d, e) for _ in range(20)]
    orders = {tuple(stitch.partner.tolist()) for stitch in stitches}
    assert len(orders) > 10
    assert all(len(set(order)) == e and set(order) <= set(range(d)) for order in orders)
    stitch, before = stitches[0], stitches[0].partner.clone()
    stitch.solve(Moments().update(*rows(d, e)))
    assert torch.equal(stitch.partner, before)


def test_more_target_units_than_source_units_can_share_but_not_each_have_their_own():
    x, y = rows(3, 8)
    for rule in ("semi-match", "abs-semi-match"):
        assert solved(rule, x, y)(x).shape == y.shape
    for rule in ("match", "random-permutation"):
        with pytest.raises(ShapeError, match=f"{rule} gives .* got 3 for 8; use semi-match"):
            Matched(3, 8, rule)


def test_unknown_rules_are_refused():
    with pytest.raises(UserError, match=r"unknown mask 'semimatch'; known: .*did you mean semi-"):
        Matched(3, 3, "semimatch")


@pytest.mark.parametrize("rule", RULES)
def test_solve_is_the_regression_of_each_unit_on_its_partner(rule):
    x, y = rows()
    stitch = solved(rule, x, y)
    for j, partner in enumerate(stitch.partner.tolist()):
        slope, shift = np.polyfit(x[:, partner].numpy(), y[:, j].numpy(), 1)
        assert stitch.scale[j].item() == pytest.approx(slope, rel=1e-9)
        assert stitch.bias[j].item() == pytest.approx(shift, rel=1e-9)


def test_freer_rules_fit_no_worse_and_none_better_than_affine():
    for _ in range(5):
        x, y = rows()
        affine = error(Affine(D, E).double().solve(Moments().update(x, y)), x, y)
        best, other, one_to_one, random = (
            error(solved(rule, x, y), x, y)
            for rule in ("abs-semi-match", "semi-match", "match", "random-permutation")
        )
        assert affine <= best <= min(other, one_to_one, random) + 1e-12


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of NumPy, where units are dead
def test_dead_units_correlate_nothing_and_are_answered_by_the_mean(rule):
    x, y = rows()
    x[:, 2], y[:, 1] = 5.0, -7.0
    stitch = solved(rule, x, y)
    assert all(tensor.isfinite().all() for tensor in stitch.affine_map())
    assert stitch.scale[1] == 0
    assert stitch.bias[1].item() == pytest.approx(-7)
    torch.testing.assert_close(stitch(x).mean(0), y.mean(0), rtol=0, atol=1e-9)
    correlation = np.nan_to_num(correlations(x, y))
    if rule == "abs-semi-match":
        assert stitch.partner.tolist() == np.abs(correlation).argmax(0).tolist()
    if rule == "match":
        total = correlation[stitch.partner.numpy(), np.arange(E)].sum()
        places = linear_sum_assignment(correlation.T, maximize=True)
        assert total == pytest.approx(correlation.T[places].sum())


@pytest.mark.parametrize("rule", RULES)
def test_nothing_but_dead_units_is_answered_by_the_mean(rule):
    x, y = torch.full((9, D), 3.0), normal(9, E)
    stitch = solved(rule, x, y)
    torch.testing.assert_close(stitch(x.double()), y.mean(0).expand(9, E), rtol=0, atol=1e-12)


def test_a_random_start_has_the_scale_of_a_full_layers_entries():
    full, few = Affine(64, 2000), Matched(64, 2000, "semi-match")
    entries = full.weight.detach()
    assert few.scale.abs().max() <= entries.abs().max() * 1.01
    assert few.scale.std().item() == pytest.approx(entries.std().item(), rel=0.05)
    assert few.bias.std().item() == pytest.approx(full.bias.std().item(), rel=0.05)


@pytest.mark.parametrize("rule", RULES)
def test_the_gradient_reaches_scale_and_bias_only(rule):
    x, y = rows()
    stitch = solved(rule, x, y)
    assert [name for name, _ in stitch.named_parameters()] == ["scale", "bias"]
    (stitch(x) - y).square().mean().backward()
    # At the least squares the gradient is zero; away from it, it is that of the regression.
    assert stitch.scale.grad.abs().max() < 1e-12
    assert stitch.bias.grad.abs().max() < 1e-12
    stitch.zero_grad()
    (stitch(x) * normal(1, E)).sum().backward()
    assert (stitch.scale.grad != 0).all()
    assert (stitch.bias.grad != 0).all()


def test_training_keeps_the_partners():
    x, y = rows()
    stitch = start(matched("semi-match"), "random", Moments().update(x, y))
    before, optimizer = stitch.partner.clone(), torch.optim.Adam(stitch.parameters(), lr=0.05)
    errors = []
    for _ in range(30):
        loss = (stitch(x) - y).square().mean()
        errors.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        stitch.after_step(optimizer)
    assert torch.equal(stitch.partner, before)
    assert errors[-1] < errors[0]
    assert ((stitch.affine_map()[0] != 0).sum(1) <= 1).all()


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("rule", BY_DATA)
def test_partners_are_chosen_whatever_the_start(rule, how):
    x, y = rows()
    stitch = start(matched(rule), how, Moments().update(x, y))
    assert torch.equal(stitch.partner, solved(rule, x, y).partner)


@pytest.mark.parametrize("rule", RULES)
def test_a_random_start_leaves_scale_and_bias_as_they_were_made(rule):
    stitch = matched(rule)
    scale, bias = stitch.scale.clone(), stitch.bias.clone()
    start(stitch, "random", Moments().update(*rows()))
    assert torch.equal(stitch.scale, scale)
    assert torch.equal(stitch.bias, bias)


@pytest.mark.parametrize("rule", RULES)
def test_ones_and_zeros_pass_the_partners_on_as_they_are(rule):
    x, y = rows()
    stitch = start(matched(rule), "ones-zeros", Moments().update(x, y))
    assert torch.equal(stitch(x), x[:, stitch.partner])


def test_ones_and_zeros_of_a_family_without_mask_sum_all_units():
    x = normal(4, D)
    stitch = start(Affine(D, E).double(), "ones-zeros")
    torch.testing.assert_close(stitch(x), x.sum(1, keepdim=True).expand(4, E))


@pytest.mark.parametrize("rule", RULES)
def test_a_stitch_comes_back_with_its_rule_and_partners(rule, tmp_path):
    stitch = Matched(D, E, rule).solve(Moments().update(*rows()))
    loaded = load_stitch(save_stitch(tmp_path / "stitch.safetensors", stitch))
    assert loaded.rule == rule
    assert same_state(loaded, stitch)
    maps = torch.randn(2, D, 3, 3)
    assert torch.equal(loaded(maps), stitch(maps))


def test_moments_of_other_units_are_refused():
    with pytest.raises(ShapeError, match="from 7 to 5 units, got moments of 5 and 7"):
        start(matched("match"), "random", Moments().update(*rows(5, 7)))
