import pytest
import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.questions.merging.unit_orders import orders_by_activations, orders_by_weights
from frankenstein.surgery import find_streams, permute
from frankenstein.zoo import build_network


def networks(name, noise=0.0):
    """A receiver, and a sender that is the same with its units in another order, and the order."""
    receiver = build_network(name, init_seed=0).eval()
    generator = torch.Generator().manual_seed(3)
    streams = find_streams(receiver)
    orders = {s: torch.randperm(streams.units[s], generator=generator) for s in streams.movable}
    sender = permute(receiver, orders)
    with torch.no_grad():
        for parameter in sender.parameters():
            parameter += noise * parameter.std() * torch.randn(parameter.shape, generator=generator)
    return sender, receiver, orders


def batches(network):
    generator = torch.Generator().manual_seed(4)
    images = torch.randn(60, *network.input_shape, generator=generator)
    return [(part, torch.zeros(len(part))) for part in images.split(20)]


def check_undone(found, planted):
    assert found.keys() == planted.keys()
    for stream, order in planted.items():
        assert torch.equal(order[found[stream]], torch.arange(len(order)))


@pytest.mark.parametrize("name", ["mlp", "resnet20_w1"])
def test_a_planted_order_is_undone_by_activations(name):
    sender, receiver, planted = networks(name, noise=0.02)
    check_undone(orders_by_activations(sender, receiver, batches(receiver)), planted)


@pytest.mark.parametrize("name", ["lenet", "mlp", "resnet20_w1", "tiny10"])
def test_a_planted_order_is_undone_by_weights(name):
    sender, receiver, planted = networks(name, noise=0.1)
    check_undone(orders_by_weights(sender, receiver), planted)


def test_a_network_is_in_its_own_order():
    network = build_network("lenet", init_seed=0).eval()
    for found in (
        orders_by_activations(network, network, batches(network)),
        orders_by_weights(network, network),
    ):
        assert all(torch.equal(order, torch.arange(len(order))) for order in found.values())


def distance(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return float(sum((a - b).detach().double().square().sum() for a, b in pairs))


def test_weights_in_the_order_found_are_nearer_and_no_swap_brings_them_nearer_still():
    sender, receiver = (build_network("mlp", init_seed=seed) for seed in (0, 1))
    orders = orders_by_weights(sender, receiver)
    nearest = distance(permute(sender, orders), receiver)
    assert nearest < distance(sender, receiver)
    for i in range(1, 16):
        swapped = orders["fc2"].clone()
        swapped[[0, i]] = swapped[[i, 0]]
        assert distance(permute(sender, orders | {"fc2": swapped}), receiver) >= nearest - 1e-4


def test_a_dead_unit_takes_what_is_left():
    sender, receiver, planted = networks("mlp")
    with torch.no_grad():
        receiver.fc2.weight[3] = 0
    found = orders_by_activations(sender, receiver, batches(receiver))
    assert torch.equal(planted["fc2"][found["fc2"]], torch.arange(16))


def test_networks_of_two_architectures_are_refused():
    one, other = nn.Linear(3, 2), nn.Linear(4, 2)
    with pytest.raises(UserError, match=r"one architecture can be merged, got 'weight'.*\(2, 3\)"):
        orders_by_weights(one, other)
