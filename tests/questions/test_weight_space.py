import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.questions.weights.facts import (
    common_axes,
    matched_rows,
    matched_weights,
    moved_rows,
    weight_distance,
    weight_facts,
    weight_matrices,
)
from frankenstein.shapes import ShapeError
from frankenstein.surgery import permute


@pytest.fixture
def weight():
    return torch.randn(7, 12, dtype=torch.float64)


def test_facts_equal_numpy(weight):
    weight[0, :5] = 0
    w, found = weight.numpy(), weight_facts(weight)
    values = np.sqrt(np.clip(np.linalg.eigvalsh(w @ w.T)[::-1], 0, None))
    shares = values / values.sum()
    expected = {
        "norm": np.sqrt((w**2).sum()),
        "deviation": np.sqrt(((w - w.mean()) ** 2).mean()),
        "zeros": 5 / 84,
        "sparsity": (np.sqrt(84) - np.abs(w).sum() / np.sqrt((w**2).sum())) / (np.sqrt(84) - 1),
        "effective_rank": np.exp(-(shares * np.log(shares)).sum()),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-10)
    np.testing.assert_allclose(found.spectrum, values, rtol=1e-8)


def test_effective_rank_is_one_of_rank_one_full_of_a_rotation_and_never_above_the_rank(weight):
    assert weight_facts(torch.outer(weight[:, 0], weight[0])).effective_rank == pytest.approx(1)
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    assert weight_facts(rotation).effective_rank == pytest.approx(6)
    assert 1 < weight_facts(weight).effective_rank < 7
    assert weight_facts(weight[:3]).effective_rank < 3
    moved = weight[torch.randperm(7)] * 5
    assert weight_facts(moved).effective_rank == pytest.approx(weight_facts(weight).effective_rank)


def test_sparsity_is_zero_of_equal_sizes_and_one_of_a_single_weight():
    signs = torch.ones(4, 4)
    signs[0] = -1
    alone = torch.zeros(4, 4)
    alone[2, 1] = 3
    assert weight_facts(signs).sparsity == pytest.approx(0)
    assert weight_facts(alone).sparsity == pytest.approx(1)


def test_of_a_matrix_of_zeros_and_of_a_single_number_what_is_undefined_is_nan():
    facts = weight_facts(torch.zeros(3, 4))
    assert (facts.norm, facts.deviation, facts.zeros) == (0, 0, 1)
    assert np.isnan([facts.sparsity, facts.effective_rank]).all()
    assert np.isnan(weight_facts(torch.ones(1, 1)).sparsity)


def test_distance_is_zero_one_and_root_two_of_equal_unrelated_and_opposite(weight):
    assert weight_distance(weight, weight) == 0
    assert weight_distance(weight, -weight) == pytest.approx(2**0.5)
    left, right = torch.eye(4)[:2], torch.eye(4)[2:]
    assert weight_distance(left, right) == 1
    with pytest.raises(ShapeError, match=r"got \(7, 12\) and \(7, 11\)"):
        weight_distance(weight, weight[:, 1:])


def test_matching_finds_a_planted_order_and_never_makes_a_distance_larger(weight):
    order = torch.randperm(7)
    noisy = weight + 0.01 * torch.randn_like(weight)
    assert torch.equal(matched_rows(noisy[order], weight), noisy)
    other = torch.randn_like(weight)
    before, after = (weight_distance(w, other) for w in (weight, matched_rows(weight, other)))
    assert after < before


def test_a_network_in_another_order_matches_itself_exactly(small_network):
    network = small_network(0)
    orders = {"conv1": torch.tensor([2, 0, 3, 1]), "conv2": torch.randperm(6)}
    (found, *_), whole = matched_weights(permute(network, orders), network)
    assert whole
    for layer, weight in weight_matrices(network).items():
        assert torch.equal(found[layer], weight)
    moved = permute(network, orders)
    rows = [weight_matrices(one)["conv1"] for one in (network, moved)]
    assert moved_rows(*rows) == [2, 0, 3, 1]


def test_networks_of_other_architectures_are_matched_row_by_row_where_shapes_agree(small_network):
    sender, receiver = small_network(0), small_network(1, widths=(4, 5))
    (found,), whole = matched_weights(sender, receiver)
    mine, theirs = weight_matrices(sender), weight_matrices(receiver)
    assert not whole
    assert torch.equal(found["conv1"], matched_rows(mine["conv1"], theirs["conv1"]))
    assert torch.equal(found["conv2"], mine["conv2"])
    (same, *_), _ = matched_weights(nn.Sequential(nn.Linear(3, 3)), nn.Sequential(nn.Linear(3, 3)))
    assert same.keys() == {"0"}


def test_matrices_are_those_of_layers_flattened_without_biases_and_norms(small_network):
    found = weight_matrices(small_network(0))
    shapes = {layer: tuple(weight.shape) for layer, weight in found.items()}
    assert shapes == {"conv1": (4, 9), "conv2": (6, 36), "fc": (10, 24)}


@pytest.mark.parametrize("size", [10, 60])  # less and more than there are rows
def test_common_axes_are_those_of_the_svd_of_all_rows_together(size):
    weight, other = (torch.randn(n, size, dtype=torch.float64) for n in (20, 15))
    points, share = common_axes([weight, other])
    together = torch.cat([weight, other]).numpy()
    centred = together - together.mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(torch.cat(points).abs(), np.abs(u[:, :2] * s[:2]), atol=1e-9)
    assert (torch.cat(points).amax(0) == torch.cat(points).abs().amax(0)).all()
    assert share == pytest.approx((s[:2] ** 2).sum() / (s**2).sum())
    assert [tuple(p.shape) for p in points] == [(len(weight), 2), (len(other), 2)]
    assert common_axes([torch.arange(3.0)[:, None]])[0][0].shape == (3, 2)
    with pytest.raises(ShapeError, match="common axes need rows of one length, got 4, 5"):
        common_axes([weight[:, :4], weight[:, :5]])
