import pytest
from torch import nn
from torch.nn import functional

from frankenstein.surgery.key_layers import activation_layers, bounds_of, key_layers
from frankenstein.zoo import build_network


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mlp", ("tanh1", "tanh2")),
        ("lenet", ("relu1", "relu2", "relu3", "relu4")),
        ("tiny10", tuple(f"relu{i}" for i in range(1, 9))),
    ],
)
def test_a_key_layer_is_taken_behind_its_nonlinearity(name, expected):
    assert activation_layers(build_network(name)) == expected


def test_of_a_residual_block_it_is_the_nonlinearity_behind_the_sum():
    network = build_network("resnet20_w1", in_channels=3)
    found = activation_layers(network)
    assert len(found) == len(key_layers(network))
    assert not set(found) & set(key_layers(network))
    assert all("relu" in layer for layer in found)


class Functions(nn.Module):
    """A linear layer with a nonlinearity that is a function, one with none, and pooling behind."""

    def __init__(self):
        super().__init__()
        self.input_shape = (4,)
        self.one, self.two, self.three = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        x = functional.relu(self.one(x)).tanh()
        return self.three(functional.softmax(self.two(x), dim=1))


def test_functions_count_and_what_mixes_units_does_not():
    assert activation_layers(Functions()) == ("relu", "two")


@pytest.mark.parametrize(
    ("module", "bounds"),
    [
        (nn.Tanh(), (-1, 1)),
        (nn.Sigmoid(), (0, 1)),
        (nn.Hardtanh(-2, 3), (-2, 3)),
        (nn.ReLU6(), (-float("inf"), 6)),
        (nn.ReLU(), None),
        (nn.Linear(3, 3), None),
    ],
)
def test_bounds_are_those_of_the_nonlinearity(module, bounds):
    assert bounds_of(nn.Sequential(nn.Linear(4, 3), module), ["1"]) == {"1": bounds}


def test_a_function_has_bounds_too():
    assert bounds_of(Functions(), ["tanh", "relu"]) == {"tanh": (-1, 1), "relu": None}
