"""Blocks are layers wherever one is named, and what a deep network is compared at by default."""

import torch

from frankenstein.surgery import cut, cut_points, join, shape_after
from frankenstein.surgery.blocks import blocks_at, telling_layers
from frankenstein.surgery.layer_set import layer_set
from frankenstein.zoo import build_network


def test_a_block_is_stitched_as_its_last_layer():
    network = build_network("resnet20_w1", 10, 1, init_seed=0).eval()
    (last,) = [name for name in cut_points(network) if name.startswith("layer2.0.")][-1:]
    assert shape_after(network, "layer2.0") == shape_after(network, last) == (32, 16, 16)
    x = torch.randn(2, *network.input_shape)
    front = join(network, network, "layer2.0", "layer1.0").sender.front
    assert torch.equal(front(x), cut(network, after=last).front(x))
    assert torch.equal(layer_set(network, ["layer2.0"]).read(x)["layer2.0"], front(x))


def test_a_network_of_blocks_is_compared_at_these_and_a_chain_of_layers_at_its_cut_points():
    assert telling_layers(build_network("tiny10")) is None
    few = telling_layers(build_network("resnet20_w1"))
    assert few == [f"layer{stage}.{i}" for stage in (1, 2, 3) for i in range(3)]
    deep = telling_layers(build_network("torchvision/resnet34", 10, 3, image_size=32))
    sizes = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}
    assert deep == [f"{stage}.{i}" for stage, size in sizes.items() for i in range(size)]


def test_a_block_is_named_at_the_cut_point_where_it_ends():
    network = build_network("resnet20_w1", 10, 1, init_seed=0).eval()
    named = blocks_at(network)
    assert list(named.values()) == telling_layers(network)
    assert set(named) <= set(cut_points(network))
    x = torch.randn(2, *network.input_shape)
    for point, block in named.items():
        assert torch.equal(cut(network, after=point).front(x), cut(network, after=block).front(x))
    assert blocks_at(build_network("tiny10")) == {}
