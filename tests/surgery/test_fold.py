import pytest
import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.surgery import capture, cut, cut_points
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.lighten import fold
from frankenstein.zoo import build_network


@pytest.mark.parametrize("name", ["tiny10", "lenet", "resnet20_w1"])
def test_a_folded_end_says_the_same_and_the_network_stays_as_it_is(name):
    network = build_network(name, 10, 1, init_seed=0).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    layer = key_layers(network)[1]
    front, end = cut(network, after=layer)
    images = torch.randn(4, *network.input_shape)
    with torch.no_grad():
        torch.testing.assert_close(
            fold(end)(fold(front)(images)), network(images), rtol=1e-4, atol=1e-4
        )
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key])
    norms = [m for m in fold(end).modules() if isinstance(m, nn.BatchNorm2d)]
    called = [n for n in fold(end).graph.nodes if n.op == "call_module"]
    assert not norms or not any("bn" in str(n.target) for n in called)


def test_a_layer_that_is_called_twice_is_not_folded():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.conv = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
            self.one, self.other = nn.BatchNorm2d(2), nn.BatchNorm2d(2)

        def forward(self, x):
            return self.other(self.conv(self.one(self.conv(self.first(x)))))

    network = Twice().eval()
    network.one.running_mean.normal_(), network.other.running_var.uniform_(0.5, 2)
    end = cut(network, after="first").end
    x = torch.randn(3, 2, 4, 4)
    with torch.no_grad():
        torch.testing.assert_close(fold(end)(x), end(x))


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v3_small", "efficientnet_b0"])
def test_what_is_captured_and_given_is_not_overwritten(name):
    network = find_network(f"torchvision/{name}")(num_classes=7, in_channels=3, image_size=32)
    network.eval()
    images = torch.randn(2, 3, 32, 32)
    points = list(cut_points(network))
    some = points[:: max(1, len(points) // 6)]
    reader = capture(network, some)
    expected, found = reader(images.clone()), fold(reader)(given := images.clone())
    assert torch.equal(given, images)
    for layer in some:
        torch.testing.assert_close(found[layer], expected[layer], rtol=1e-3, atol=1e-4, msg=layer)
        source = expected[layer].clone()
        fold(cut(network, after=layer).end)(source)
        assert torch.equal(source, expected[layer]), layer


def test_an_activation_overwrites_a_sum_that_nothing_else_reads():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu, self.last = nn.Conv2d(2, 2, 1), nn.ReLU(), nn.ReLU()

        def forward(self, x):
            z = self.conv(x)
            return self.last(self.relu(z + x) + z)

    both = fold(capture(Block(), ["relu", "last"]))
    alone = fold(capture(Block(), ["last"]))
    assert [alone.get_submodule(name).inplace for name in ("relu", "last")] == [True, True]
    assert both.get_submodule("last").inplace
    kept = fold(capture(Block(), ["conv", "last"]))
    assert torch.equal(kept(x := torch.randn(1, 2, 3, 3))["conv"], kept.get_submodule("conv")(x))


class Small(nn.Module):
    """A convolution and its norm, and what a test makes of them."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU()
        self.bn.running_mean.normal_(), self.bn.running_var.uniform_(0.5, 2)
        self.eval()

    def forward(self, x):
        return self.relu(self.bn(self.conv(x)))


@torch.no_grad()
def folded_says_the_same(network, x):
    front = cut(network, after=list(cut_points(network, inputs=x))[-1], inputs=x).front
    torch.testing.assert_close(fold(front)(x), front(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "read",
    [
        lambda net, y: nn.functional.conv_transpose2d(y, net.conv.weight),
        lambda net, y: y * net.conv.weight.norm(),
        lambda net, y: y * net.conv.weight.abs().max().item(),
        lambda net, y: y + net.conv.bias.view(-1, 1, 1),
    ],
)
def test_steps_that_read_a_layers_weights_read_the_networks(read):
    class Reads(Small):
        def forward(self, x):
            return read(self, super().forward(x))

    folded_says_the_same(Reads(), torch.randn(2, 1, 5, 5))


@pytest.mark.parametrize(
    "flat",
    [lambda z: z.view(z.size(0), -1), lambda z: torch.as_strided(z, (len(z), 50), (50, 1))],
)
def test_steps_that_ask_how_a_tensor_lies_find_it_as_it_lay(flat):
    class Flat(Small):
        def forward(self, x):
            return flat(super().forward(x)) * 2

    network, x = Flat(), torch.randn(3, 1, 5, 5)
    folded_says_the_same(network, x)
    front, end = map(fold, cut(network, after="relu", inputs=x))
    torch.testing.assert_close(end(front(x)), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "bn", "relu"])
def test_hooks_see_what_they_saw(layer):
    network = Small()
    network.get_submodule(layer).register_forward_hook(
        lambda _, given, z: z.abs() - given[0][:, :1]
    )
    folded_says_the_same(network, torch.randn(2, 1, 5, 5))


def test_a_norm_along_another_axis_than_a_linear_is_not_folded():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU()).eval()
    network[1].running_mean.normal_(), network[1].running_var.uniform_(0.5, 2)
    folded_says_the_same(network, torch.randn(2, 4, 3))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    "norm", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm, nn.utils.spectral_norm]
)
def test_weights_that_are_made_of_others_stay_so(norm):
    network = Small()
    norm(network.conv).eval()
    network.conv(torch.randn(2, 1, 5, 5))
    folded_says_the_same(network, torch.randn(2, 1, 5, 5))
