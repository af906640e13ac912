import pytest
import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.surgery import Cut, cut, cut_points
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.layouts import laid
from frankenstein.surgery.lighten import fold, lighten, overwriting
from frankenstein.zoo import build_network


def unsettled(network):
    """BatchNorms whose statistics and weights are anything, frozen."""
    for module in network.eval().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(), module.running_var.uniform_(0.01, 5)
            if module.affine:
                nn.init.normal_(module.weight, 1, 0.3), nn.init.normal_(module.bias)
    return network.requires_grad_(False)


def gradient(end, z):
    z = z.clone().requires_grad_()
    weights = torch.linspace(-1, 2, 7)
    (given,) = torch.autograd.grad((end(z) * weights).sum(), z)
    return given


NAMES = ["resnet18", "mobilenet_v3_small", "swin_t", "regnet_y_400mf"]


@pytest.mark.parametrize(
    "name", [*(f"torchvision/{name}" for name in NAMES), "tiny10", "resnet20_w1"]
)
def test_light_halves_give_the_same_numbers_and_gradients_bit_for_bit(name):
    in_channels = 3 if name.startswith("torchvision") else 1
    make = find_network(name)
    network = unsettled(make(num_classes=7, in_channels=in_channels, image_size=32))
    modes = [(m, m.training, getattr(m, "inplace", None)) for m in network.modules()]
    images, points = torch.randn(2, in_channels, 32, 32), cut_points(network)
    chosen = list(points)[1 :: max(1, len(points) // 4)]
    for layer in chosen:
        halves, _ = laid(cut(network, after=layer), points[layer])
        light = lighten(halves)
        with torch.no_grad():
            expected, found = halves.front(images), light.front(given := images.clone())
        assert torch.equal(found, expected), layer
        assert torch.equal(given, images), "the input was overwritten"
        assert torch.equal(gradient(light.end, found), gradient(halves.end, expected)), layer
        assert torch.equal(found, expected), "the source was overwritten"
    assert [(m, m.training, getattr(m, "inplace", None)) for m in network.modules()] == modes


def test_what_is_light_follows_the_network_to_other_weights():
    network = unsettled(build_network("tiny10", 10, 1, init_seed=0))
    halves = cut(network, after=key_layers(network)[2])
    light, images = Cut(*lighten(halves)), torch.randn(2, 1, 32, 32)
    unsettled(network)
    assert torch.equal(light.end(light.front(images)), network(images))


def test_hooks_see_what_they_saw_and_pass_gradients_on():
    network = unsettled(nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.BatchNorm1d(7), nn.ReLU()))
    network[1].register_forward_hook(lambda _, given, z: z - given[0])
    network[2].register_forward_hook(lambda _, given, z: z * given[0])
    x = torch.randn(3, 4)
    halves = cut(network, after="1", inputs=x)
    light, z = lighten(halves), halves.front(x)
    assert torch.equal(light.front(x), z)
    assert torch.equal(gradient(light.end, z), gradient(halves.end, z))


def test_weights_that_are_made_of_others_are_trained_behind():
    network = nn.Sequential(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 7)).eval()
    nn.utils.parametrizations.weight_norm(network[0])
    halves, x = cut(network, after="1", inputs=torch.randn(3, 4)), torch.randn(3, 4)
    assert torch.equal(lighten(halves).front(x), halves.front(x))


def test_a_part_that_overwrites_what_it_is_given_says_the_same():
    network = unsettled(build_network("tiny10", 10, 1, init_seed=0))
    halves = cut(network, after="bn3")
    end, images = fold(halves.end), torch.randn(2, 1, 32, 32)
    z = halves.front(images)
    expected = end(given := z.clone())
    assert torch.equal(given, z)
    assert torch.equal(overwriting(end)(given), expected)
    assert torch.equal(given, z.relu())
    assert torch.equal(end(z.clone()), expected)
