import pytest
import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.surgery import cut, cut_points

# How many cut points of each are tried: all of them would take a minute.
POINTS = {
    "inceptionv1": 6,
    "torchvision/resnet18": 24,
    "torchvision/densenet121": 3,
    "torchvision/googlenet": 3,
    "torchvision/mobilenet_v3_small": 6,
    "torchvision/convnext_tiny": 3,
    "torchvision/swin_t": 4,
    "torchvision/efficientnet_b0": 6,
    "torchvision/regnet_y_400mf": 6,
}


def awake(network, images):
    """Statistics of BatchNorm as after training: without them deep networks answer all alike."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(images)
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize("name", POINTS)
def test_a_network_of_torchvision_has_the_head_asked_for_and_is_cut_exactly(name):
    size = 64 if name == "inceptionv1" else 32
    network = find_network(name)(num_classes=7, in_channels=3, image_size=size)
    images = torch.randn(3, *network.input_shape)
    assert images.shape == (3, 3, size, size)
    expected = awake(network, images)(images)
    assert expected.shape == (3, 7)
    assert (expected[0] != expected[1]).any()
    points = list(cut_points(network))
    for after in points[len(points) - 1 :: -max(1, len(points) // POINTS[name])]:
        front, end = cut(network, after)
        source = front(images)
        kept = source.clone()
        assert torch.equal(end(source), expected), after
        assert torch.equal(source, kept), f"the end half after {after} overwrote its input"
