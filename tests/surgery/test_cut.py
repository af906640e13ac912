import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from frankenstein.catalog import ARCHITECTURES, find_network
from frankenstein.surgery import LayerError, cut, cut_points

VISION = torchvision.models

# Families of torchvision, small: how to build one, its image size, every how manyth cut point.
FAMILIES = {
    "vit": (lambda: VISION.VisionTransformer(32, 16, 2, 2, 32, 64, num_classes=10), 32, 1),
    "swin": (
        lambda: VISION.SwinTransformer([4, 4], 16, [1, 2], [2, 2], [4, 4], num_classes=10),
        32,
        2,
    ),
    "densenet": (lambda: VISION.DenseNet(8, (2, 2), 16, num_classes=10), 32, 4),
}


class Residual(nn.Module):
    """In-place everywhere: a view, an idle dropout and an addition lie between writes and reads."""

    input_shape = (2, 6, 6)

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1)
        self.same = nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(144, 3)

    def forward(self, x):
        x = self.relu(self.same(self.conv1(x)))
        y = self.conv2(x)
        y += x
        y = F.relu(self.dropout(y).view(-1, 4, 36), inplace=True)
        return self.fc(y.flatten(1))


class Overwriter(nn.Module):
    """Writes into its input, drops the results of writes, and reads an old name of a new value."""

    input_shape = (4,)

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.register_buffer("scale", torch.arange(1.0, 5.0))
        self.shift = nn.Parameter(torch.randn(4))

    def forward(self, x):
        x.mul_(2)
        y = self.fc1(x * (self.scale * 3))
        y.view(-1, 2).relu_()
        old = y
        y += self.shift
        z = self.fc2(y + old)
        old = z
        z *= 0.5
        z = self.fc3(z - old.exp())
        torch.tanh_(z)
        return z


def small(network):
    return network.eval().requires_grad_(True)


def check_every_cut(network, x, step=1):
    expected = network(x.clone())
    points = list(cut_points(network, x.shape[1:]))
    for after in dict.fromkeys([*points[::step], points[-1]]):
        front, end = cut(network, after)
        given = x.clone()
        source = front(given)
        kept = source.clone()
        assert torch.equal(end(source), expected), after
        assert torch.equal(source, kept), f"the end half after {after} overwrote its input"
        assert torch.equal(given, x), f"the front half up to {after} overwrote its input"


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny10", "nbn_tiny10", "resnet20_w1", "lenet", "dense", "mlp"])
def test_the_halves_of_a_zoo_network_equal_the_whole_at_every_cut_point(name):
    network = small(find_network(name)(num_classes=10, in_channels=1))
    check_every_cut(network, torch.randn(3, *network.input_shape))


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILIES)
def test_the_halves_of_a_torchvision_network_equal_the_whole(name):
    build, size, step = FAMILIES[name]
    check_every_cut(small(build()), torch.randn(2, 3, size, size), step)


@torch.no_grad()
@pytest.mark.parametrize("build", [Residual, Overwriter])
def test_writing_in_place_does_not_make_the_halves_wrong(build):
    network = small(build())
    check_every_cut(network, torch.randn(3, *network.input_shape))


def test_sizes_are_no_leaks_and_blocks_name_what_they_give():
    assert list(cut_points(Odd(), (4,))) == ["fc", "reshape", "add", "getitem"]
    network = VISION.resnet18(num_classes=10).eval()
    x = torch.randn(2, 3, 32, 32)
    halves = cut(network, after="layer1"), cut(network, after="layer1.1.relu_1")
    assert torch.equal(halves[0].front(x), halves[1].front(x))
    assert torch.equal(halves[0].end(halves[0].front(x)), network(x))


def test_a_copy_is_made_only_where_the_end_half_could_write_into_its_input():
    network = VISION.resnet18(num_classes=10).eval()
    copies = {
        after: "clone" in str(cut(network, after).end.graph)
        for after in ("conv1", "bn1", "maxpool", "layer1.0.relu_1", "layer1.1.add", "flatten")
    }
    assert [after for after, made in copies.items() if made] == ["bn1", "layer1.1.add"]


def test_gradients_through_the_halves_equal_those_of_the_whole():
    network = small(Residual())
    x = torch.randn(3, 2, 6, 6)
    network(x).sum().backward()
    expected = [p.grad.clone() for p in network.parameters()]
    for after in ("conv1", "add", "view"):
        network.zero_grad()
        front, end = cut(network, after)
        end(front(x)).sum().backward()
        assert all(map(torch.equal, expected, [p.grad for p in network.parameters()]))


def test_the_halves_share_the_weights_of_the_network():
    network = ARCHITECTURES["tiny10"](num_classes=10, in_channels=1)
    front, end = cut(network, after="bn3")
    whole = dict(network.named_parameters()) | dict(network.named_buffers())
    parts = [dict(half.named_parameters()) | dict(half.named_buffers()) for half in (front, end)]
    assert parts[0].keys() | parts[1].keys() == whole.keys()
    assert not parts[0].keys() & parts[1].keys()
    assert all(tensor is whole[name] for part in parts for name, tensor in part.items())


def test_the_end_half_does_not_hold_what_only_the_cut_layer_needs():
    front, end = cut(Odd(), after="add")
    assert "token" in dict(front.named_parameters())
    assert "token" not in dict(end.named_parameters())


def test_cutting_changes_nothing_in_the_network():
    network = Overwriter()
    network.fc2.eval()
    network.fc1.requires_grad_(False)
    before = copy.deepcopy(network)
    cut(network, after="fc1")
    cut_points(network)
    assert [m.training for m in network.modules()] == [m.training for m in before.modules()]
    assert vars(network).keys() == vars(before).keys()
    assert network.state_dict().keys() == before.state_dict().keys()
    for name, tensor in before.state_dict(keep_vars=True).items():
        now = network.state_dict(keep_vars=True)[name]
        assert torch.equal(now, tensor)
        assert now.requires_grad == tensor.requires_grad


def test_each_half_is_in_the_mode_that_its_modules_are_in():
    network = VISION.resnet18(num_classes=10).eval()
    network.layer1.train()
    front, end = cut(network, after="layer2.0.relu_1")
    for half in (front, end):
        for path, module in half.named_modules():
            assert module.training == network.get_submodule(path).training


def test_a_half_can_be_cut_and_copied_again():
    network = small(Residual())
    x = torch.randn(3, 2, 6, 6)
    front, end = copy.deepcopy(cut(network, after="add"))
    first, second = cut(front, after="conv1")
    assert torch.equal(end(second(first(x))), network(x))


def test_the_end_behind_the_last_layer_returns_the_logits_as_they_are():
    network = ARCHITECTURES["mlp"](num_classes=10, in_channels=1)
    logits = torch.randn(3, 10)
    last = list(cut_points(network))[-1]
    assert cut(network, last).end(logits) is logits


def test_a_layer_that_a_skip_connection_goes_around_is_refused_with_the_leak_and_the_way_out():
    network = VISION.resnet18(num_classes=10)
    text = (
        r"cannot cut ResNet after 'layer1\.1\.bn1': 'layer1\.0\.relu_1' goes around it to "
        r"'layer1\.1\.add'; nearest cut points: 'layer1\.0\.relu_1', 'layer1\.1\.add'"
    )
    with pytest.raises(LayerError, match=text):
        cut(network, after="layer1.1.bn1")


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.attention = nn.MultiheadAttention(4, 1)
        self.token = nn.Parameter(torch.zeros(4))

    def forward(self, x):
        n = x.size(0)
        x = self.fc(x).reshape(n, 4)
        self.fc(x)
        x = x + self.token
        x, _ = self.attention(x, x, x)
        return x


@pytest.mark.parametrize(
    ("after", "text"),
    [
        ("fc_1", "it is not on the way from the input to the output"),
        ("token", "it is not on the way from the input to the output"),
        ("attention", "it gives several tensors; nearest cut points: 'add', 'getitem'"),
        ("x", "that is the input, not a layer; nearest cut points: 'fc'"),
    ],
)
def test_what_is_no_cut_point_is_refused_with_the_reason(after, text):
    with pytest.raises(LayerError, match=f"cannot cut Odd after '{after}': {text}"):
        cut(Odd(), after)


def test_a_write_through_an_old_name_behind_the_cut_counts_as_a_leak():
    class Late(nn.Module):
        def forward(self, x):
            y = x * 2
            z = y.view(-1, 2)
            y.relu_()
            return z.exp()

    with pytest.raises(LayerError, match="'mul' goes around it to 'relu_'"):
        cut(Late(), after="view")


def test_an_unknown_layer_is_answered_with_the_nearest_names():
    network = ARCHITECTURES["tiny10"](num_classes=10, in_channels=1)
    with pytest.raises(LayerError, match=r"Tiny10 has no layer 'bn33'; did you mean bn3"):
        cut(network, after="bn33")
