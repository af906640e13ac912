import copy

import pytest
import torch
from torch import distributed, nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from frankenstein.data import Digits
from frankenstein.networks.network import open_network
from frankenstein.networks.statistics import count_statistics, counting_images, keeps_statistics
from frankenstein.zoo import build_network

NETWORKS = {
    "tiny10": lambda: build_network("tiny10", init_seed=0),
    "resnet20_w1": lambda: build_network("resnet20_w1", in_channels=1, init_seed=0),
    "vectors": lambda: Vectors(),
}


class Vectors(nn.Module):
    """An InstanceNorm that keeps statistics, and a BatchNorm of vectors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.InstanceNorm2d(3, affine=True, track_running_stats=True)
        self.fc, self.bn = nn.Linear(3 * 900, 5), nn.BatchNorm1d(5)

    def forward(self, x):
        return self.bn(self.fc(self.norm(self.conv(x)).flatten(1)))


def images(count=40, size=32):
    generator = torch.Generator().manual_seed(1)
    return 2 + 3 * torch.rand(count, 1, size, size, generator=generator)


def inputs_of(network, x):
    """What every normalisation is given, from a pass in float64 in evaluation mode."""
    network, seen = copy.deepcopy(network).double().eval(), {}
    for name, module in network.named_modules():
        if getattr(module, "running_mean", None) is not None:
            module.register_forward_pre_hook(
                lambda _, given, name=name: seen.setdefault(name, []).append(given[0])
            )
    with torch.no_grad():
        network(x.double())
    return {name: torch.cat(parts).movedim(1, 0).flatten(1) for name, parts in seen.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_are_those_of_what_each_layer_is_given_with_the_new_ones_before_it(name):
    network = NETWORKS[name]().eval()
    weights = copy.deepcopy(dict(network.named_parameters()))
    counted = count_statistics(network, images())
    assert counted is network
    assert not any(module.training or module._forward_pre_hooks for module in network.modules())
    # Counting layer by layer has one fixed point: with the statistics of the layers before it.
    for layer, z in inputs_of(network, images()).items():
        norm = network.get_submodule(layer)
        mean, variance = z.mean(1), z.var(1, correction=0)
        scale = variance.sqrt().clamp(min=1e-8)
        assert ((norm.running_mean.double() - mean) / scale).abs().max() < 1e-5
        assert (norm.running_var.double() / variance - 1).abs().max() < 1e-5
    for key, parameter in network.named_parameters():
        assert torch.equal(parameter, weights[key])


def test_the_order_of_the_images_is_nothing_and_neither_is_what_there_was_before():
    one, other = (build_network("tiny10", init_seed=0) for _ in range(2))
    other.bn3.running_mean.fill_(7.0)
    other.train()
    count_statistics(one, images())
    count_statistics(other, images().flip(0))
    for key, tensor in one.state_dict().items():
        assert torch.allclose(
            tensor.double(), other.state_dict()[key].double(), rtol=1e-4, atol=1e-6
        )


def test_a_normalisation_that_is_called_twice_has_the_statistics_of_both_calls():
    norm = nn.BatchNorm1d(3)

    class Twice(nn.Module):
        def forward(self, x):
            norm(x[:, 0])
            return norm(x[:, 1])

    network = Twice()
    network.norm = norm
    x = torch.randn(50, 2, 3).double() + torch.arange(2.0)[:, None]
    count_statistics(network.double(), x)
    assert torch.allclose(norm.running_mean, x.mean((0, 1)))
    assert torch.allclose(norm.running_var, x.var((0, 1), correction=0))


def test_there_may_be_nothing_to_count(calls):
    network = build_network("lenet", init_seed=0)
    happened = calls(network=network)
    assert not keeps_statistics(network)
    assert keeps_statistics(build_network("tiny10"))
    count_statistics(network, images())
    assert happened == []


def test_an_untrained_network_is_not_a_dead_one(saved):
    data = Digits(image_size=32)
    network = open_network(saved("tiny10", 1))
    seen = counting_images(data, network.module)
    assert seen.shape == (1000, 1, 32, 32)
    untrained = network.untrained(5, seen)
    again = network.untrained(5, seen)
    assert untrained.sha256 == again.sha256 != network.sha256
    assert (untrained.role, untrained.control_of) == ("untrained_subject", "subject")
    assert torch.equal(
        untrained.module.conv1.weight, build_network("tiny10", init_seed=5).conv1.weight
    )
    start = build_network("tiny10", init_seed=5).eval()
    sizes = [inputs_of(one, seen[:100])["bn8"].std(1) for one in (start, untrained.module)]
    assert sizes[1].min() > 0.1 > 0.05 > sizes[0].max()


def test_large_images_are_fewer():
    class Large(nn.Module):
        input_shape = (1, 1024, 1024)

    assert len(counting_images(Digits(image_size=8), Large())) == 16


def test_every_process_counts_what_one_counts():
    network, data = build_network("tiny10", init_seed=0), Digits(image_size=32, eval_batch_size=100)
    alone = counting_images(data, network)
    for rank in range(2):
        distributed.init_process_group("fake", rank=rank, world_size=2, store=FakeStore())
        try:
            mine = counting_images(data, network)
            shared = [images for images, _ in data.train_batches(1000)]
        finally:
            distributed.destroy_process_group()
        assert torch.equal(mine, alone)
        assert torch.equal(shared[0], alone[rank:100:2])  # where batches are split
