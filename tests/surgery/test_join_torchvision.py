"""Networks of torchvision at their full size, each stitched to the next of another kind."""

from functools import lru_cache

import pytest
import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.stitches import Affine
from frankenstein.surgery import cut_points, graft, join
from frankenstein.tasks import matching_moments

NAMES = (
    "resnet18",
    "densenet121",
    "mobilenet_v3_small",
    "swin_t",
    "regnet_y_400mf",
)


@lru_cache(maxsize=2)  # a network is the receiver first and then the sender
def network(name):
    torch.manual_seed(0)
    size = {"num_classes": 7, "in_channels": 3, "image_size": 64}
    return find_network(f"torchvision/{name}")(**size).eval().requires_grad_(False)


@torch.no_grad()
@pytest.mark.parametrize("i", range(len(NAMES)), ids=NAMES)
def test_a_network_of_torchvision_is_stitched_to_the_next(i):
    sender, receiver = network(NAMES[i - 1]), network(NAMES[i])
    images = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    layers = [list(cut_points(one)) for one in (sender, receiver)]
    joint = join(sender, receiver, *(names[len(names) // 2] for names in layers))
    source = nn.Sequential(joint.sender.front, joint.align)
    moments = matching_moments(source, joint.receiver.front, [(images, None)])
    stitch = Affine(joint.source.units, joint.target.units).solve(moments)
    target = joint.receiver.front(images)
    error = (stitch(source(images)) - target).square().mean()
    assert error < 0.999 * target.var()  # better than a constant
    logits = graft(source, stitch, joint.receiver.end)(images)
    assert logits.shape == (6, 7)
    assert logits.isfinite().all()
    assert torch.equal(joint.receiver.end(target), receiver(images))
