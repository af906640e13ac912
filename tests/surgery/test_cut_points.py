from itertools import count

import pytest
import torch
import torchvision
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.surgery import LayerError, capture, cut, cut_points
from frankenstein.surgery.record import record


@torch.no_grad()
@pytest.mark.parametrize("name", ["tiny10", "resnet20_w1", "lenet", "dense", "mlp"])
def test_shapes_are_those_of_the_representations(name):
    network = find_network(name)(num_classes=7, in_channels=3).eval()
    x = torch.zeros(3, *network.input_shape)
    points = cut_points(network)
    for after, shape in list(points.items())[::4]:
        assert cut(network, after).front(x).shape == (3, *shape)
    assert list(points.values())[-1] == (7,)


def test_names_come_in_order_of_execution():
    network = find_network("tiny10")(num_classes=10, in_channels=1)
    assert tuple(cut_points(network))[:6] == ("conv1", "bn1", "relu1", "conv2", "bn2", "relu2")
    network = find_network("nbn_tiny10")(num_classes=10, in_channels=1)
    assert tuple(cut_points(network))[:4] == ("conv1", "relu1", "conv2", "relu2")


def test_the_sums_of_residual_blocks_are_cut_points_and_their_insides_are_not():
    points = cut_points(find_network("resnet20_w3")(num_classes=10, in_channels=3))
    blocks = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1, 2)]
    inside = [f"{block}.{layer}" for block in blocks for layer in ("add", "relu_1")]
    assert list(points) == ["conv1", "bn1", "relu", *inside, "avgpool", "flatten", "fc"]
    shapes = [points[f"layer{stage}.2.add"] for stage in (1, 2, 3)]
    assert shapes == [(48, 32, 32), (96, 16, 16), (192, 8, 8)]


def test_everything_else_is_refused_by_cut():
    network = torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16, num_classes=5)
    points = cut_points(network, (3, 32, 32))
    for layer in set(record(network).names.values()) - points.keys():
        with pytest.raises(LayerError, match="cannot cut VisionTransformer after"):
            cut(network, layer)


def test_a_layer_without_a_batch_axis_in_front_is_left_out():
    network = nn.Sequential(nn.Linear(6, 6), nn.Flatten(0), nn.Unflatten(0, (-1, 6)))
    assert cut_points(network, (6,)) == {"0": (6,), "2": (6,)}


def test_statistics_and_modes_of_the_network_stay():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()).train()
    cut_points(network, (3, 8, 8))
    assert network[1].num_batches_tracked == 0
    assert all(module.training for module in network.modules())


def test_an_input_that_does_not_fit_is_answered_with_what_to_give():
    with pytest.raises(LayerError, match=r"Sequential .* \(3, 224, 224\) .*; give input_shape="):
        cut_points(nn.Sequential(nn.Linear(4, 3)))


class Images(nn.Module):
    """Takes bytes, and scales its map by the brightness of the image."""

    def __init__(self, weigh):
        super().__init__()
        self.a, self.b, self.weigh = nn.Conv2d(1, 2, 3), nn.Linear(2, 2), weigh

    def forward(self, x):
        h = self.a(x.float() / 255).relu().mean((2, 3))
        return self.b(h * x.float().mean((1, 2, 3))[:, None] if self.weigh else h)


class Ids(nn.Module):
    """Multiplies by its ids, or by where they are none."""

    def __init__(self, weigh):
        super().__init__()
        self.a, self.b, self.weigh = nn.Embedding(9, 4), nn.Linear(4, 2), weigh

    def forward(self, x):
        return self.b(self.a(x) * (x if self.weigh else x > 0).float()[..., None])


@torch.no_grad()
@pytest.mark.parametrize(
    ("network", "x"),
    [
        (Images, torch.arange(128, dtype=torch.uint8).reshape(2, 1, 8, 8)),
        (Ids, torch.tensor([[0, 1, 2], [3, 0, 0]])),
    ],
)
def test_an_image_of_bytes_and_ids_as_numbers_are_activations(network, x):
    points = cut_points(network(weigh=True), inputs=x)
    assert {"mul", "b"} <= points.keys()
    assert "a" not in points
    network = network(weigh=False)
    assert "a" in cut_points(network, inputs=x)
    front, end = cut(network, after="a", inputs=x)
    context = {"x": x} if isinstance(network, Ids) else {}
    assert torch.equal(end(front(x), **context), network(x))


def test_shapes_of_an_input_that_nothing_tells_are_said_to_be_a_guess():
    network = nn.Sequential(nn.Conv2d(3, 2, 3, stride=64), nn.ReLU())
    with pytest.warns(UserWarning, match="what Sequential takes, .* images of 3 x 224 x 224; name"):
        points = cut_points(network)
    assert points == {"0": (2, 4, 4), "1": (2, 4, 4)}
    assert cut_points(network, input_shape=(3, 64, 64))["1"] == (2, 1, 1)


@pytest.mark.parametrize(
    "late", [lambda self, x: self.a(x), lambda self, x: nn.functional.one_hot(x, 4).float()]
)
def test_ids_that_are_met_again_go_around_what_was_made_of_them(late):
    class Twice(Ids):
        def forward(self, x):
            return self.b(self.a(x) + late(self, x % 4))

    network, x = Twice(weigh=False), torch.tensor([[0, 1, 2], [3, 0, 0]])
    with pytest.raises(LayerError, match="'x' goes around it"):
        cut(network, after="a", inputs=x)
    assert {"add", "b"} <= cut_points(network, inputs=x).keys()


def test_a_buffer_or_an_input_that_is_called_as_a_step_hides_none():
    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.tensor(0.5))
            self.features, self.fc = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), nn.Linear(4, 2)

        def forward(self, features):
            return self.fc(self.features(features - self.mean).mean((2, 3)))

    network, x = Normed().eval(), torch.randn(3, 1, 6, 6)
    assert list(cut_points(network, inputs=x))[-2:] == ["mean", "fc"]
    shapes = {"mean": (3, 4), "features": (3, 4, 4, 4)}
    found = capture(network, list(shapes), inputs=x)(x)
    for layer, shape in shapes.items():
        front, end = cut(network, after=layer, inputs=x)
        assert found[layer].shape == front(x).shape == shape
        assert torch.equal(end(front(x)), network(x))


def test_a_network_runs_once_to_list_its_cut_points_and_to_be_cut_at_all_of_them():
    runs = count()

    class Deep(nn.Sequential):
        def forward(self, x):
            next(runs)  # a counter is not put back, as a list would be
            return super().forward(x)

    network = Deep(*(nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(20))).eval()
    points = cut_points(network, inputs=torch.zeros(2, 4))
    assert len(points) == 40
    for layer in points:
        cut(network, layer, inputs=torch.zeros(2, 4))
    assert next(runs) == 1
