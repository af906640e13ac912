import copy

import pytest
import torch
import torchvision
from torch import nn

from frankenstein.errors import UserError
from frankenstein.surgery import LayerError, find_streams, permute
from frankenstein.zoo import build_network

NAMES = ["tiny10", "nbn_tiny10", "lenet", "dense", "mlp", "resnet20_w1", "resnet20_w2"]
VISION = {
    "resnet": lambda: torchvision.models.ResNet(
        torchvision.models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=5
    ),
    "densenet": lambda: torchvision.models.DenseNet(8, (2, 2), 16, num_classes=5),
}


def lively(network, seed):
    """The network in float64, with weights and statistics that differ from unit to unit."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 1.5, generator=generator)
            for tensor in (module.bias.data, module.running_mean):
                tensor.normal_(std=0.3, generator=generator)
    return network.double().eval()


def some_orders(streams, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {s: torch.randperm(streams.units[s], generator=generator) for s in streams.movable}


def check_same_function(network, x):
    streams = find_streams(network)
    permuted = permute(network, some_orders(streams))
    with torch.no_grad():
        expected = network(x)
        assert (permuted(x) - expected).abs().max() < 1e-12 * expected.abs().max()
        assert expected.std(0).max() > 0  # or nothing would have been seen
    first = streams.axes[0]
    changed = [
        name
        for name, tensor in network.state_dict().items()
        if not torch.equal(tensor, permuted.state_dict()[name])
    ]
    assert first.tensor in changed
    return streams, changed


@pytest.mark.parametrize("name", NAMES)
def test_a_permuted_network_of_the_zoo_is_the_same_function(name):
    network = lively(build_network(name, init_seed=0), seed=1)
    x = torch.randn(3, *network.input_shape, dtype=torch.float64)
    streams, changed = check_same_function(network, x)
    tensors = [name for name, tensor in network.state_dict().items() if tensor.ndim > 0]
    assert set(tensors) - set(changed) == {tensors[-1]}  # the bias of the classes
    assert all(streams.layers[stream] for stream in streams.movable)


@pytest.mark.parametrize("name", VISION)
def test_a_permuted_network_of_torchvision_is_the_same_function(name):
    network = lively(VISION[name](), seed=1)
    check_same_function(network, torch.randn(2, 3, 64, 64, dtype=torch.float64))


def test_a_residual_network_has_a_stream_for_each_stage_and_one_inside_each_block():
    streams = find_streams(build_network("resnet20_w1"))
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2)]
    inside = {f"{block}.conv1": 16 * 2 ** (int(block[5]) - 1) for block in blocks}
    between = {"conv1": 16, "layer2.0.downsample.0": 32, "layer3.0.downsample.0": 64}
    assert {stream: streams.units[stream] for stream in streams.movable} == inside | between
    assert streams.layers["conv1"] == (
        "relu",
        "layer1.0.relu_1",
        "layer1.1.relu_1",
        "layer1.2.relu_1",
    )


def test_depthwise_and_gated_channels_belong_to_the_stream_they_act_on():
    network = lively(Gated(), seed=1)
    x = torch.randn(3, 1, 6, 6, dtype=torch.float64)
    streams, _ = check_same_function(network, x)
    assert streams.units == {"wide": 8, "narrow": 3, "fc": 4}


class Gated(nn.Module):
    """A depthwise convolution, and channels scaled by what a bottleneck makes of their means."""

    input_shape = (1, 6, 6)

    def __init__(self):
        super().__init__()
        self.wide, self.depthwise = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
        self.narrow, self.widen = nn.Conv2d(8, 3, 1), nn.Conv2d(3, 8, 1)
        self.norm, self.fc = nn.BatchNorm2d(8), nn.Linear(32, 4)

    def forward(self, x):
        x = self.norm(self.depthwise(self.wide(x)))
        gate = self.widen(self.narrow(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        x *= gate
        return self.fc(torch.flatten(2 * x, 1))


def test_orders_undo_each_other():
    network = build_network("lenet", init_seed=0)
    streams = find_streams(network)
    orders = some_orders(streams)
    back = {stream: order.argsort() for stream, order in orders.items()}
    again = permute(permute(network, orders), back)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_units_of_a_flattened_map_move_with_all_their_places():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 4, 3))
    network.input_shape = (1, 4, 4)
    swapped = permute(network, {"0": torch.tensor([1, 0])})
    expected = network[2].weight.unflatten(1, (2, 4)).flip(1).flatten(1)
    assert torch.equal(swapped[2].weight, expected)


def test_the_network_itself_is_left_as_it_was():
    network = build_network("mlp", init_seed=0)
    before = copy.deepcopy(network.state_dict())
    permute(network, some_orders(find_streams(network)))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])


class Odd(nn.Module):
    input_shape = (4,)

    def __init__(self, then):
        super().__init__()
        self.fc1, self.fc2, self.then = nn.Linear(4, 4), nn.Linear(4, 4), then

    def forward(self, x):
        return self.fc2(self.then(self.fc1(x)))


def test_what_is_not_known_is_refused_by_name():
    with pytest.raises(LayerError, match="cannot reorder the units of Odd around 'then'"):
        find_streams(Odd(nn.Softmax(1)))
    with pytest.raises(LayerError, match="VisionTransformer"):
        find_streams(torchvision.models.VisionTransformer(32, 16, 1, 2, 32, 64))
    with pytest.raises(LayerError, match="in groups"):
        find_streams(nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, groups=2)))
    shared = nn.Linear(4, 4)
    with pytest.raises(LayerError, match="used more than once"):
        find_streams(nn.Sequential(shared, nn.ReLU(), shared))


def test_a_wrong_order_is_refused():
    network = build_network("mlp", init_seed=0)
    with pytest.raises(UserError, match="no units to reorder are made by 'fc3'"):
        permute(network, {"fc3": torch.arange(10)})
    with pytest.raises(UserError, match="each of its units 0 to 15 once"):
        permute(network, {"fc2": torch.zeros(16, dtype=torch.int64)})


def test_hooks_and_another_forward_which_may_know_units_are_refused():
    scales = torch.linspace(-1, 1, 4)
    hooked, made, patched = (
        nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)) for _ in "abc"
    )
    hooked[1].register_forward_hook(lambda module, given, out: out * scales)
    nn.utils.spectral_norm(made[0])
    patched[1].forward = lambda x: x.relu() * scales
    for network, layer in ((hooked, "1"), (made, "0"), (patched, "1")):
        network.input_shape = (3,)
        with pytest.raises(LayerError, match=f"around '{layer}': it has hooks or another forward"):
            find_streams(network.eval())
