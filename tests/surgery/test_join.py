"""Networks of different kinds, joined: small ones of torchvision's and one of our own."""

import re

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision import models

from frankenstein.shapes import ShapeError
from frankenstein.stitches import Affine, Identity
from frankenstein.surgery import LayerError, cut_points, graft, join
from frankenstein.tasks import Stitching, matching_moments

SHAPE = (3, 32, 32)
NETWORKS = {
    "vit": lambda: models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=10),  # 4 x 4 patches
    "fine vit": lambda: models.VisionTransformer(32, 4, 1, 2, 12, 24, num_classes=10),  # 8 x 8
    "swin": lambda: models.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [2, 2], num_classes=10),
    "resnet": lambda: models.resnet18(num_classes=10),
    "conv": lambda: nn.Sequential(
        nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1125, 10)
    ),
}
VIT, FINE = "encoder.layers.encoder_layer_0.add_1", "encoder.layers.encoder_layer_0.add"
SWIN = "features.1.0.add_1"  # 8 x 8, channels last
# Sender, its layer, receiver, its layer, what is done to the source.
JOINTS = {
    "map to map": ("resnet", "layer2.1.relu_1", "conv", "2", "a map of 4 x 4, .* map of 15 x 15"),
    "map to smaller map": ("conv", "1", "resnet", "layer1.0.add", "map of 30 x 30, .* 8 x 8"),
    "map to map of other channels": ("swin", SWIN, "resnet", "layer1.1.relu_1", None),
    "map to channels-last map": ("resnet", "layer2.0.add", "swin", SWIN, "4 x 4, .* map of 8 x 8"),
    "map to tokens": ("resnet", "layer1.1.relu_1", "vit", VIT, "map of 8 x 8, .* tokens of 4 x 4"),
    "channels-last map to tokens": ("swin", SWIN, "fine vit", FINE, "map of 8 x 8, .* 8 x 8 and"),
    "tokens to map": ("vit", VIT, "resnet", "layer2.0.add", "tokens of 4 x 4 .* a map of 4 x 4"),
    "tokens to channels-last map": ("fine vit", FINE, "swin", SWIN, "tokens of 8 x 8 .* a map"),
    "tokens to more tokens": ("vit", VIT, "fine vit", FINE, "tokens of 4 x 4 .* tokens of 8 x 8"),
    "tokens to fewer tokens": ("fine vit", FINE, "vit", VIT, "tokens of 8 x 8 .* tokens of 4 x 4"),
    "tokens to a vector": ("vit", VIT, "resnet", "flatten", "tokens of 4 x 4 .* a vector"),
    "tokens, units first, to tokens": ("vit", "reshape", "vit", VIT, "4 x 4, .* class token"),
    "tokens to tokens, units first": (
        "vit",
        VIT,
        "vit",
        "reshape",
        "a class token, .* tokens of 4",
    ),
    "map to a vector": ("conv", "2", "vit", "getitem", "a map of 15 x 15, .* a vector"),
    "vector to vector": ("vit", "getitem", "resnet", "flatten", None),
}


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    made = {}
    for name, make in NETWORKS.items():
        made[name] = make().eval().requires_grad_(False)
        made[name].input_shape = SHAPE
        for parameter in made[name].parameters():
            if not parameter.any():  # a fresh ViT's head answers 0 to everything
                parameter.normal_(std=0.1)
    return made


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(12, *SHAPE, generator=generator)


@pytest.mark.parametrize("name", JOINTS)
def test_networks_of_different_kinds_are_grafted_through_a_solved_stitch(name, networks, images):
    sender, sender_layer, receiver, receiver_layer, said = JOINTS[name]
    joint = join(networks[sender], networks[receiver], sender_layer, receiver_layer)
    assert (joint.how_laid is None) == (said is None)
    if said:
        assert re.search(said, joint.how_laid)
    front = nn.Sequential(joint.sender.front, joint.align)
    moments = matching_moments(front, joint.receiver.front, [(images, None)])
    stitch = Affine(joint.source.units, joint.target.units).solve(moments)
    target = joint.receiver.front(images)
    stitched = stitch(front(images))
    assert stitched.shape == target.shape
    assert (stitched - target).square().mean() < 0.999 * target.var()  # better than a constant
    logits = graft(front, stitch, joint.receiver.end)(images)
    assert logits.shape == (12, 10)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", JOINTS)
def test_a_stitch_between_them_can_be_trained(name, networks, images):
    sender, sender_layer, receiver, receiver_layer, _ = JOINTS[name]
    pair = networks[sender], networks[receiver]
    joint = join(*pair, sender_layer, receiver_layer)
    stitch = Affine(joint.source.units, joint.target.units)
    task = Stitching(*pair, sender_layer, receiver_layer, stitch)
    loss = cross_entropy(task(images), torch.arange(12) % 10)
    loss.backward()
    assert loss.isfinite()
    assert stitch.weight.grad.isfinite().all()
    assert stitch.weight.grad.abs().max() > 0
    stitched, target = task.representations((images, None))
    assert stitched.shape == target.shape


@pytest.mark.parametrize("flatten", [False, True], ids=["", "flat"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_joined_to_itself_at_any_layer_has_its_own_logits(
    name, flatten, networks, images
):
    network, images = networks[name], images[:2]
    expected = network(images)
    layers = list(cut_points(network))
    for layer in layers[:: 1 + len(layers) // 5]:
        joint = join(network, network, layer, layer, flatten)
        assert joint.how_laid is None
        assert joint.source == joint.target
        found = joint.receiver.end(joint.align(joint.sender.front(images)))
        if flatten:  # numbers that lie in another order in memory are summed in another order
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("name", "layer", "units"),
    [
        ("swin", SWIN, 16),
        ("vit", VIT, 16),
        ("vit", "reshape", 16),
        ("conv", "1", 5),
        ("resnet", "flatten", 512),
    ],
)
def test_the_identity_stitch_of_a_network_with_itself_changes_nothing(
    name, layer, units, networks, images
):
    network = networks[name]
    task = Stitching(network, network, layer, layer, Identity(units, units))
    assert torch.equal(task(images), network(images))


def test_flattened_networks_are_joined_place_by_place_and_not_resized(networks, images):
    joint = join(networks["conv"], networks["vit"], "2", VIT, flatten=True)
    assert joint.source.units == 5 * 15 * 15
    assert joint.target.units == 17 * 16
    assert joint.how_laid is None
    stitch = Affine(joint.source.units, joint.target.units)
    task = Stitching(networks["conv"], networks["vit"], "2", VIT, stitch, flatten=True)
    assert task(images).shape == (12, 10)


def test_a_stitch_of_other_units_is_refused(networks):
    with pytest.raises(ShapeError, match="a stitch from 5 to 16 units, got one from 5 to 17"):
        Stitching(networks["conv"], networks["vit"], "1", VIT, Affine(5, 17))


def test_a_vector_cannot_be_laid_out_in_places(networks):
    with pytest.raises(ShapeError, match="the source is a vector and the target has places"):
        join(networks["conv"], networks["resnet"], "3", "layer1.0.add")


def test_a_layer_that_cannot_be_cut_is_refused_with_the_reason(networks):
    with pytest.raises(
        LayerError, match=r"cannot cut ResNet after 'layer1\.0\.conv1'.* goes around"
    ):
        join(networks["resnet"], networks["conv"], "layer1.0.conv1", "1")
    with pytest.raises(LayerError, match="Sequential has no layer 'relu1'"):
        join(networks["resnet"], networks["conv"], "layer1.0.add", "relu1")


def test_a_layer_whose_rows_are_no_examples_is_refused(networks):
    windows = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(2), Rows(), nn.Linear(16, 2), Back())
    windows.input_shape = SHAPE
    with pytest.raises(LayerError, match=r"cannot stitch Sequential after '2\.flatten': .* batch"):
        join(windows, networks["conv"], "2.flatten", "1")


class Rows(nn.Module):
    def forward(self, z):
        return z.flatten(0, 1)  # a row for every unit of every example


class Back(nn.Module):
    def forward(self, z):
        return z.view(-1, 8)
