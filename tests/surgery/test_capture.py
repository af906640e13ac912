import pytest
import torch
import torchvision
from torch import fx, nn

from frankenstein.catalog import ARCHITECTURES, find_network
from frankenstein.surgery import LayerError, capture, cut, cut_points, graft
from frankenstein.surgery.record import record


class Diary(fx.Interpreter):
    """Writes down what every step computed, at the moment it did."""

    def __init__(self, traced):
        super().__init__(traced.root, graph=traced.graph)
        self.traced, self.pages = traced, {}

    def run_node(self, node):
        value = super().run_node(node)
        if node in self.traced.names and isinstance(value, torch.Tensor):
            self.pages[self.traced.name(node)] = value.clone()
        return value


def check_capture(network, x):
    diary = Diary(record(network))
    diary.run(x.clone())
    assert diary.pages
    given = x.clone()
    representations = capture(network, diary.pages)(given)
    assert list(representations) == list(diary.pages)
    assert torch.equal(given, x)
    for layer, expected in diary.pages.items():
        assert torch.equal(representations[layer], expected), layer


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny10", "resnet20_w1", "lenet", "dense", "mlp"])
def test_every_layer_of_a_zoo_network_is_what_the_network_computes(name):
    network = find_network(name)(num_classes=10, in_channels=1).eval()
    check_capture(network, torch.randn(2, *network.input_shape))


@torch.no_grad()
def test_every_layer_of_a_residual_network_is_what_the_network_computes():
    check_capture(torchvision.models.resnet18(num_classes=10).eval(), torch.randn(2, 3, 32, 32))


@torch.no_grad()
@pytest.mark.parametrize("layer", ["layer1.0.bn1", "layer1.0.bn2", "layer1.0.add"])
def test_a_tensor_that_the_network_overwrites_later_is_kept(layer):
    network = torchvision.models.resnet18(num_classes=10).eval()
    x = torch.randn(2, 3, 32, 32)
    alone = capture(network, [layer])(x)[layer]
    assert (alone < 0).any()
    assert torch.equal(capture(network, [layer, "fc"])(x)[layer], alone)


def blow(module, inputs):
    raise RuntimeError("this layer was not asked for")


class Forked(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Softsign())
        self.last = nn.Identity()

    def forward(self, x):
        right = self.right(x)
        left = self.left(x)
        return self.last(left.sum() + right.sum())


def test_only_what_the_layers_need_is_run():
    network = Forked()
    asked = capture(network, "left")
    for unused in (network.right[0], network.right[1], network.last):
        unused.register_forward_pre_hook(blow)
    x = torch.randn(2, 4)
    assert torch.equal(asked(x)["left"], network.left(x))
    with pytest.raises(RuntimeError, match="not asked for"):
        network(x)


def test_the_weights_are_those_of_the_network():
    network = ARCHITECTURES["mlp"](num_classes=10, in_channels=1)
    asked = capture(network, ["fc2"])
    assert set(map(id, asked.parameters())) < set(map(id, network.parameters()))


def test_a_graft_can_be_read_where_it_was_stitched():
    network = ARCHITECTURES["mlp"](num_classes=10, in_channels=1).eval()
    front, end = cut(network, after="tanh1")
    frank = graft(front, nn.Identity(), end)
    x = torch.randn(2, *network.input_shape)
    assert torch.equal(frank(x), network(x))
    assert torch.equal(capture(frank, ["stitch"])(x)["stitch"], front(x))
    assert "front.tanh1" in cut_points(frank, network.input_shape)


def test_layers_that_are_no_tensor_or_not_there_are_refused():
    network = nn.Sequential(nn.Linear(4, 4))
    with pytest.raises(LayerError, match="capture needs at least one layer"):
        capture(network, [])
    with pytest.raises(LayerError, match="Sequential has no layer '00'; did you mean 0"):
        capture(network, ["00"])
    with pytest.raises(LayerError, match="'chunk' of Halved gives several tensors"):
        capture(Halved(), ["chunk"])


class Halved(nn.Module):
    def forward(self, x):
        return x.chunk(2)[0]


@torch.no_grad()
def test_a_module_whose_name_ends_in_a_number_is_that_module():
    """torchvision's feature extraction calls these modules fc, fc_1 and fc_2 in order of calls."""

    class Numbered(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc_1, self.fc_2, self.fc = (nn.Linear(3, 3) for _ in range(3))
            self.relu, self.relu_1 = nn.ReLU(), nn.Tanh()

        def forward(self, x):
            x = self.relu(self.fc(self.fc_2(self.fc_1(x))))
            return self.relu(torch.relu(self.relu_1(x) - 0.1) - 0.1)

    network, x = Numbered(), torch.randn(5, 3)
    names = ["fc_1", "fc_2", "fc", "relu", "relu_1", "sub", "relu_2", "sub_1", "relu_3"]
    assert list(cut_points(network, (3,))) == names
    found = capture(network, names)(x)
    for name, before in (("fc_2", "fc_1"), ("fc", "fc_2"), ("relu", "fc"), ("relu_1", "relu")):
        assert torch.equal(found[name], network.get_submodule(name)(found[before]))
    assert torch.equal(found["relu_2"], torch.relu(found["sub"]))
    assert torch.equal(found["relu_3"], network(x))
