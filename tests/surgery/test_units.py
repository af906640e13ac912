"""The axis of units is told by what made a tensor: its shape can mean two things."""

import pytest
import torch
from torch import nn

from frankenstein.accumulators.moments import Moments
from frankenstein.measures import linear_cka
from frankenstein.similarity.matrices import similarity_matrix
from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.join import join
from frankenstein.surgery.layer_set import layer_set
from frankenstein.surgery.record import record
from frankenstein.surgery.units import unit_axes, unit_axis

N = 6


class Line(nn.Module):
    """Convolutions over a line, (N, C, L): C and L lie where tokens have T and C."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu, self.pool = nn.Conv1d(2, 5, 3), nn.ReLU(), nn.MaxPool1d(2)
        self.conv2, self.fc = nn.Conv1d(5, 3, 3), nn.Linear(3, 4)
        self.input_shape = (2, 20)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        return self.fc(self.conv2(x).mean(-1))


class Mixer(nn.Module):
    """Patches, whose axes are exchanged and exchanged back in a branch of each block."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.tokens, self.units = nn.Linear(4, 4), nn.Linear(8, 8)
        self.input_shape = (3, 8, 8)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return (x + self.units(x))[:, 0]


class Square(nn.Module):
    """A map (8, 8, 1), which looks as if its channels were last."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, (3, 1)), nn.Linear(64, 4)
        self.input_shape = (1, 10, 1)

    def forward(self, x):
        x = self.conv(x).permute(0, 2, 3, 1).reshape(-1, 8, 8)
        return self.fc(x[..., None].movedim(2, 1).squeeze(-1).flatten(1))


class Volume(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv3d(1, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
        self.input_shape = (1, 3, 3, 3)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Line, {"conv1": 1, "relu": 1, "pool": 1, "conv2": 1, "mean": 1, "fc": 1}),
        (Mixer, {"stem": 1, "flatten": 1, "transpose": 2, "add": 2, "add_1": 2, "getitem": 1}),
        (Square, {"conv": 1, "permute": 3, "reshape": 2, "getitem": 2, "movedim": 1, "fc": 1}),
        (Volume, {"0": 1, "1": 1, "2": 1, "3": 1}),
    ],
)
def test_the_axis_of_units_is_told_by_the_layers(make, expected):
    network = make().eval()
    assert {layer: unit_axis(network, layer) for layer in expected} == expected


def test_what_no_layer_made_has_no_known_axis():
    network = nn.Sequential(nn.ReLU(), nn.Flatten())
    steps = record(network, torch.randn(N, 3, 4))
    assert [unit_axes(steps).get(steps.find(name)) for name in ("0", "1")] == [None, 1]


def test_a_measure_of_pooled_lines_pools_over_the_line():
    torch.manual_seed(0)
    network, x = Line().eval(), torch.randn(40, 2, 20)
    moments = Moments()
    with torch.no_grad():
        maps = network.conv1(x), network.conv2(network.pool(network.relu(network.conv1(x))))
    moments.update(*(z.mean(2) for z in maps))
    matrix = similarity_matrix(network, network, [x], "linear_cka", ["conv1"], ["conv2"])
    assert matrix["conv1", "conv2"] == pytest.approx(float(linear_cka(moments)), abs=1e-6)


@pytest.mark.parametrize("make", [Line, Mixer, Square])
def test_stitches_see_units_wherever_they_lie(make):
    torch.manual_seed(0)
    network, axes = make().eval(), {}
    x = torch.randn(N, *network.input_shape)
    with torch.no_grad():
        expected = network(x)
        for layer, shape in cut_points(network).items():
            axes[layer] = unit_axis(network, layer)
            joint = join(network, network, layer, layer)
            assert joint.source.units == shape[axes[layer] - 1]
            z = joint.sender.front(x)
            # In memory they may lie in another order, in which rounding is another.
            torch.testing.assert_close(joint.receiver.end(z), expected)
            halves = layer_set(network, [layer])
            assert torch.equal(halves.read(x)[layer], z)
            torch.testing.assert_close(halves.ends[layer](z), expected)
            assert torch.equal(z, cut(network, layer).front(x).movedim(axes[layer], _place(shape)))
    assert len(axes) > 3


def _place(shape):
    return 1 if len(shape) == 3 else -1
