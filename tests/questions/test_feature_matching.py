import itertools

import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.questions.dictionaries.matching import match_features, pooled_strengths
from frankenstein.shapes import ShapeError


def test_planted_pairs_are_found_whatever_their_scale_and_order():
    x = torch.randn(300, 12)
    order = torch.randperm(12)
    y = (x * (torch.rand(12) + 0.1) + 5)[:, order]
    found = match_features(x, y)
    assert torch.equal(order[found.pairs[:, 1]], found.pairs[:, 0])
    assert torch.allclose(found.correlations, torch.ones(12).double())
    assert found.mean == pytest.approx(1)


def test_the_assignment_is_the_best_of_all_and_correlations_are_numpys():
    x, y = torch.randn(40, 4), torch.randn(40, 5)
    found = match_features(x, y)
    correlation = np.corrcoef(x.double().numpy().T, y.double().numpy().T)[:4, 4:]
    best = max(
        sum(correlation[i, j] for i, j in enumerate(order))
        for order in itertools.permutations(range(5), 4)
    )
    assert found.mean * 4 == pytest.approx(best)
    rows, columns = found.pairs.T.numpy()
    assert found.correlations.numpy() == pytest.approx(correlation[rows, columns])
    assert found.correlations.tolist() == sorted(found.correlations.tolist(), reverse=True)


def test_unrelated_features_match_as_badly_as_shuffled_ones():
    x, y = torch.randn(200, 30), torch.randn(200, 30)
    found = match_features(x, y, shuffles=8)
    assert found.mean == pytest.approx(found.mean_shuffled, abs=0.02)
    assert found.mean_shuffled > 0.05  # the best of many pairs: why a control is needed


def test_the_same_seed_shuffles_alike():
    x, y = torch.randn(50, 5), torch.randn(50, 6)
    first = match_features(x, y).shuffled
    assert torch.equal(match_features(x, y).shuffled, first)
    assert not torch.equal(match_features(x, y, seed=1).shuffled, first)


def test_dead_features_match_nothing():
    x = torch.randn(100, 6)
    y = x.clone()
    x[:, 2], y[:, 4] = 0, 3
    found = match_features(x, y)
    assert len(found.pairs) == 5
    assert not (found.pairs[:, 0] == 2).any()
    assert not (found.pairs[:, 1] == 4).any()


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(UserError, match="every feature of one side is constant"):
        match_features(torch.ones(9, 3), torch.randn(9, 3))
    with pytest.raises(ShapeError, match="use one loader for both"):
        match_features(torch.randn(9, 3), torch.randn(8, 3))


def test_strengths_are_pooled_over_places():
    batches = [(torch.randn(n, 3, 4, 4), torch.zeros(n)) for n in (5, 2)]
    one, other = pooled_strengths([nn.Identity(), nn.Flatten()], batches)
    images = torch.cat([images for images, _ in batches])
    assert torch.allclose(one, images.mean((2, 3)))
    assert torch.equal(other, images.flatten(1))


def test_pairs_as_alike_as_each_other_are_in_the_order_of_the_first():
    x = torch.randn(300, 12)
    for scale in (1.0, 3.7, 1e-3):
        pairs = match_features(x, scale * x).pairs
        assert torch.equal(pairs, torch.arange(12)[:, None].expand(-1, 2))
