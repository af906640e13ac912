import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import connected_components

from frankenstein.errors import UserError
from frankenstein.questions.circuits.find import find_circuits
from frankenstein.shapes import ShapeError


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planted(n=400, sizes=(4, 3, 2), alone=5, noise=0.5):
    """Activations in which units of a group follow one signal, others none, in mixed-up columns."""
    signals = draw(n, len(sizes))
    columns = [signals[:, [i]] + noise * draw(n, size, seed=i + 1) for i, size in enumerate(sizes)]
    z = torch.cat([*columns, draw(n, alone, seed=9)], 1)
    order = torch.randperm(z.shape[1], generator=torch.Generator().manual_seed(5))
    starts = np.cumsum([0, *sizes])
    groups = [
        {int((order == unit).nonzero()) for unit in range(starts[i], starts[i + 1])}
        for i in range(len(sizes))
    ]
    return z[:, order] * 10 ** draw(z.shape[1], seed=7) + draw(z.shape[1], seed=8), groups


def as_sets(circuits):
    return [set(group.tolist()) for group in circuits.groups]


@pytest.mark.parametrize("method", ["components", "average"])
def test_planted_groups_are_recovered_whatever_the_size_and_offset_of_units(method):
    z, groups = planted()
    found = find_circuits(z, method=method)
    assert as_sets(found) == groups
    assert found.null < found.threshold < 0.9
    assert found.null_groups == 0


def test_cosine_finds_sparse_units_that_speak_together():
    on = torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) < 0.1
    z = on.double()[:, [0, 1, 2, 0, 1]] * (1 + 0.1 * draw(300, 5).abs())
    found = find_circuits(z, similarity="cosine")
    assert as_sets(found) == [{0, 3}, {1, 4}]


def test_noise_has_no_groups_but_by_a_small_chance():
    found = [find_circuits(draw(100, 20, seed=seed)).groups for seed in range(20)]
    assert sum(map(bool, found)) <= 3  # 1 is expected


def test_few_examples_make_no_groups():
    z, _ = planted(n=3, noise=2.0)
    assert find_circuits(z).null > 0.99


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.5])
def test_components_are_those_of_the_graph_over_the_threshold(threshold):
    z, _ = planted(noise=1.0)
    _, labels = connected_components(np.corrcoef(z.numpy().T) >= threshold)
    expected = {frozenset(np.flatnonzero(labels == i)) for i in set(labels)}
    found = find_circuits(z, threshold)
    assert set(map(frozenset, as_sets(found))) == {group for group in expected if len(group) > 1}
    assert found.threshold == threshold


def test_the_threshold_is_the_one_with_the_most_groups():
    z, _ = planted(noise=1.0)
    found = find_circuits(z)
    others = [find_circuits(z, t, shuffles=1).groups for t in np.linspace(found.null, 1, 60)]
    most = max(map(len, others))
    assert len(found.groups) == most
    # Of those with as many groups it is the one that has the most units in them.
    units = [sum(map(len, groups)) for groups in others if len(groups) == most]
    assert sum(map(len, found.groups)) == max(units)


def test_groups_do_not_feel_scale_shift_or_the_order_of_examples():
    z, groups = planted()
    moved = (3 * z + 7)[torch.randperm(len(z))]
    assert as_sets(find_circuits(moved)) == groups
    assert find_circuits(moved).threshold == pytest.approx(find_circuits(z).threshold, abs=1e-7)


def test_units_that_fall_silent_together_with_others_are_no_group():
    one = draw(200, 1)
    found = find_circuits(torch.cat([one, -one], 1))
    assert found.groups == ()


def test_dead_units_are_in_no_group_and_named():
    z, groups = planted()
    z = torch.cat([z, torch.full((len(z), 2), 3.7)], 1)
    for similarity in ("correlation", "cosine"):
        found = find_circuits(z, similarity=similarity)
        assert found.dead.tolist() == [z.shape[1] - 2, z.shape[1] - 1]
    assert as_sets(find_circuits(z)) == groups


@pytest.mark.parametrize("living", [0, 1])
def test_a_layer_of_dead_units_has_no_groups_and_no_threshold(living):
    z = torch.cat([draw(50, living), torch.zeros(50, 3, dtype=torch.float64)], 1)
    found = find_circuits(z)
    assert found.groups == ()
    assert np.isnan(found.threshold)


def test_units_that_are_all_alike_are_one_group():
    z = draw(100, 1).expand(-1, 5)
    assert as_sets(find_circuits(z)) == [{0, 1, 2, 3, 4}]


def test_mistakes_are_named():
    with pytest.raises(UserError, match="unknown 'averge'; known: components, average; did you"):
        find_circuits(draw(5, 3), method="averge")
    with pytest.raises(UserError, match="unknown 'dot'"):
        find_circuits(draw(5, 3), similarity="dot")
    with pytest.raises(ShapeError, match="one row per example"):
        find_circuits(draw(5, 3, 2, 2))
    with pytest.raises(UserError, match="NaN or Inf"):
        find_circuits(torch.full((4, 2), torch.nan))
