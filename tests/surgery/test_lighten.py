import pytest
import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.surgery import Cut, cut, cut_points
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.layouts import laid
from frankenstein.surgery.lighten import lighten
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


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (nn.BatchNorm1d, (16, 5)),
        (nn.BatchNorm1d, (4, 5, 7)),
        (nn.BatchNorm2d, (64, 5, 9, 9)),
        (nn.BatchNorm3d, (2, 5, 3, 4, 5)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_gradient_through_a_norm_is_that_of_pytorch_bit_for_bit(kind, shape, affine, dtype):
    network = unsettled(nn.Sequential(nn.Identity(), kind(5, affine=affine, eps=1e-3))).to(dtype)
    halves = cut(network, after="0")
    x, weights = torch.randn(shape).to(dtype), torch.randn(shape).to(dtype)
    found, expected = (
        torch.autograd.grad((end(z := x.clone().requires_grad_()) * weights).sum(), z)[0]
        for end in (lighten(halves).end, halves.end)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("trained", ["weights", "statistics"])
def test_a_norm_that_is_not_frozen_is_left_to_itself(trained):
    network = nn.Sequential(nn.Identity(), nn.BatchNorm1d(3)).eval().requires_grad_(False)
    halves = cut(network, after="0")
    end = lighten(halves).end
    network[1].requires_grad_(trained == "weights").train(trained == "statistics")
    x = torch.randn(8, 3, requires_grad=True)
    (end(x) ** 2).sum().backward()
    found, x.grad = x.grad, None
    statistics = network[1].running_mean.clone()
    if trained == "weights":
        assert network[1].weight.grad is not None
    else:
        assert statistics.any()
    (network(x) ** 2).sum().backward()
    assert torch.equal(found, x.grad)


def test_gradients_of_gradients_go_through():
    network = unsettled(nn.Sequential(nn.Identity(), nn.BatchNorm1d(3), nn.Tanh())).double().float()
    halves = cut(network, after="0")
    x = torch.randn(8, 3, requires_grad=True)
    found, expected = (
        torch.autograd.grad(
            torch.autograd.grad((end(x) ** 2).sum(), x, create_graph=True)[0].sum(), x
        )[0]
        for end in (lighten(halves).end, halves.end)
    )
    torch.testing.assert_close(found, expected)


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
