import math
import sys

import numpy as np
import pytest
import torch

from frankenstein.errors import UserError
from frankenstein.questions.circuits.maps import (
    chance_response,
    circuit_map,
    class_profiles,
    maps_at_hand,
)
from frankenstein.questions.circuits.match import match_circuits, profile_similarity, profiles


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_profile_is_the_mean_of_standardized_units():
    z = draw(30, 5) * 4 + 3
    z[:, 4] = 1.5  # adds nothing
    groups = [torch.tensor([0, 2]), torch.tensor([1, 4])]
    x = z.numpy()
    with np.errstate(invalid="ignore"):
        scores = np.nan_to_num((x - x.mean(0)) / x.std(0))
    expected = np.stack([scores[:, [0, 2]].mean(1), scores[:, [1, 4]].mean(1)])
    assert np.allclose(profiles(z, groups).numpy(), expected, atol=1e-12)
    assert profiles(z, []).shape == (0, 30)


def test_similarity_of_profiles_is_their_correlation():
    one, other = draw(3, 40), draw(4, 40, seed=1)
    expected = np.corrcoef(one.numpy(), other.numpy())[:3, 3:]
    assert np.allclose(profile_similarity(one, other).numpy(), expected, atol=1e-12)
    assert (profile_similarity(torch.zeros(1, 40).double(), other) == 0).all()


def test_planted_families_are_found_across_networks_and_strangers_have_none():
    signals = draw(5, 300)
    networks = [
        signals[[0, 1, 2]] + 0.3 * draw(3, 300, seed=1),
        signals[[2, 0, 1, 3]] + 0.3 * draw(4, 300, seed=2),
        signals[[4, 1, 0]] + 0.3 * draw(3, 300, seed=3),
    ]
    found = match_circuits(networks, reference=0)
    assert found.members.tolist() == [[0, 1, 2], [1, 2, 1], [2, 0, -1]]
    assert (found.similarity[found.members >= 0] > 0.85).all()
    assert found.similarity[2, 2].isnan()
    assert 0 < found.null < 0.3


def test_the_reference_is_the_network_most_like_all_others():
    signal = draw(2, 300)
    networks = [
        signal + scale * draw(2, 300, seed=i) for i, scale in ((1, 1.0), (2, 0.1), (3, 1.0))
    ]
    assert match_circuits(networks).reference == 1


def test_a_network_without_groups_matches_nothing():
    found = match_circuits([draw(2, 50), draw(0, 50)], reference=0)
    assert found.members.tolist() == [[0, -1], [1, -1]]
    assert match_circuits([draw(0, 50), draw(0, 50)]).members.shape == (0, 2)
    with pytest.raises(UserError, match="two networks or more, got 1"):
        match_circuits([draw(2, 50)])


def test_the_first_map_is_principal_components():
    points = draw(6, 30)
    x = points.numpy() - points.numpy().mean(0)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    expected = np.abs(u[:, :2] * s[:2])
    assert np.allclose(np.abs(circuit_map(points).numpy()), expected, atol=1e-10)


@pytest.mark.parametrize("kind", maps_at_hand())
def test_a_map_is_the_same_for_a_seed_and_lays_near_what_is_alike(kind):
    signals = 5 * draw(2, 200)
    points = signals.repeat_interleave(6, 0) + 0.5 * draw(12, 200, seed=1)
    places = circuit_map(points, kind)
    assert torch.equal(places, circuit_map(points, kind))
    distance = torch.cdist(places, places)
    same = torch.arange(12) // 6
    near = distance[same[:, None] == same].max()
    assert near < distance[same[:, None] != same].min()


def test_a_map_that_cannot_be_made_says_why(monkeypatch):
    with pytest.raises(UserError, match="tsne map needs 8 groups or more, got 3"):
        circuit_map(draw(3, 9), "tsne")
    with pytest.raises(UserError, match="unknown map 'mds'"):
        circuit_map(draw(3, 9), "mds")
    monkeypatch.setitem(sys.modules, "umap", None)  # as where it is not installed
    with pytest.raises(UserError, match="umap needs umap-learn; get it by"):
        circuit_map(draw(9, 9), "umap")


def test_profiles_of_classes_are_means_over_their_images():
    found, labels = draw(2, 60), torch.arange(60) % 3
    expected = torch.stack([found[:, labels == k].mean(1) for k in range(3)], 1)
    assert torch.allclose(class_profiles(found, labels, 4)[:, :3], expected)
    assert class_profiles(found, labels, 4)[:, 3].isnan().all()
    several = torch.nn.functional.one_hot(labels, 3).float()
    assert torch.allclose(class_profiles(found, several, 3), expected)


def test_what_classes_get_by_chance_is_the_largest_of_shuffled_labels():
    noise, labels = draw(3, 200), torch.arange(200) % 10
    chance = chance_response(noise, labels, 10)
    assert chance == chance_response(noise, labels, 10)
    # Means of 20 standard normals, 3 groups x 10 classes x 19 shuffles: hardly one beyond 5 sigma.
    assert 1.5 / 20**0.5 < chance < 5 / 20**0.5
    tuned = torch.nn.functional.one_hot(labels, 10).T.double() * 3
    assert class_profiles(tuned, labels, 10).max() > chance_response(tuned, labels, 10)
    assert math.isnan(chance_response(noise[:0], labels, 10))


def test_the_first_of_two_networks_is_the_reference_whatever_rounding_does():
    for seed in range(20):
        one, other = draw(4, 50, seed=seed), draw(5, 50, seed=seed + 100)
        assert match_circuits([one, other]).reference == 0
        assert match_circuits([other, one]).reference == 0


def test_the_group_furthest_out_is_at_the_positive_end_of_an_axis():
    for points in (draw(6, 30), -draw(6, 30)):
        places = circuit_map(points)
        assert (places.gather(0, places.abs().argmax(0)[None]) > 0).all()
    assert circuit_map(draw(2, 30))[0, 0] > 0  # both are as far out: the first
