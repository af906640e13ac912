"""What grafted networks cost, and which are worth it."""

import torch
from torch import nn

from frankenstein.stitches import Affine
from frankenstein.stitching.matrix.costs import counted, grafted_costs, pareto
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.surgery.layer_set import layer_set

# For one image of 8 x 8 pixels: the first convolution makes 6 x 6 places, the second 2 x 2.
MULTIPLIED = {"conv1": 4 * 9 * 36, "conv2": 6 * 4 * 9 * 4, "fc": 24 * 10}
LEARNED = {"conv1": 4 * 9 + 4, "bn1": 8, "conv2": 6 * 4 * 9 + 6, "bn2": 12, "fc": 24 * 10 + 10}


def test_a_network_costs_what_its_layers_do(small_network):
    cost, logits = counted(small_network(0), torch.zeros(1, 1, 8, 8))
    assert logits.shape == (1, 10)
    assert cost == (sum(LEARNED.values()), sum(MULTIPLIED.values()))


def test_a_grafted_network_costs_its_front_its_stitch_and_its_end(small_network):
    networks = small_network(0), small_network(1)
    names = ("bn1", "relu2")
    sides = [layer_set(network, names) for network in networks]
    alone = [{name: layer_set(network, [name]) for name in names} for network in networks]
    laid = PairMoments(sides[0].layouts, sides[1].layouts)
    stitches = {("bn1", "relu2"): Affine(4, 6), ("relu2", "bn1"): Affine(6, 4)}
    costs = grafted_costs(*alone, stitches, laid, torch.zeros(1, 1, 8, 8))
    # Forwards: resized to the fewer places first, so the stitch runs at 2 x 2.
    early = LEARNED["conv1"] + LEARNED["bn1"]
    late = early + LEARNED["conv2"] + LEARNED["bn2"]
    assert costs["bn1", "relu2"] == (
        early + (4 * 6 + 6) + LEARNED["fc"],
        MULTIPLIED["conv1"] + 4 * 6 * 4 + MULTIPLIED["fc"],
    )
    # Backwards: the stitch first, at 2 x 2, then resized; conv2 runs twice.
    assert costs["relu2", "bn1"].parameters == (
        late + (6 * 4 + 4) + LEARNED["conv2"] + LEARNED["bn2"] + LEARNED["fc"]
    )
    assert costs["relu2", "bn1"].multiplications == (
        MULTIPLIED["conv1"] + 2 * MULTIPLIED["conv2"] + 6 * 4 * 4 + MULTIPLIED["fc"]
    )


def test_a_weight_that_is_used_twice_is_held_once_and_multiplied_twice():
    layer = nn.Linear(3, 3)
    cost, _ = counted(nn.Sequential(layer, nn.ReLU(), layer), torch.zeros(1, 3))
    assert cost == (12, 18)


def test_on_the_front_is_what_no_other_beats():
    costs = {("a", "a"): 1, ("a", "b"): 2, ("b", "a"): 2, ("b", "b"): 3, ("c", "a"): 4}
    accuracies = {("a", "a"): 0.5, ("a", "b"): 0.7, ("b", "a"): 0.6, ("b", "b"): 0.7}
    assert pareto(costs, accuracies) == [("a", "a"), ("a", "b")]
    accuracies["b", "a"] = 0.7  # alike in both: both are there
    assert pareto(costs, accuracies) == [("a", "a"), ("a", "b"), ("b", "a")]
    assert pareto(costs, {}) == []
