import pytest
import torch
from torch import fx, nn
from torchvision.models.feature_extraction import get_graph_node_names

from frankenstein.catalog import find_network
from frankenstein.surgery import LayerError, cut, cut_points
from frankenstein.surgery.record import record


def steps_of(network):
    steps = record(network)
    return fx.Interpreter(steps.root, graph=steps.graph)


@pytest.mark.parametrize("name", ["tiny10", "resnet20_w1", "torchvision/resnet18"])
def test_layers_are_named_as_torchvision_names_them(name):
    network = find_network(name)(num_classes=10, in_channels=3)
    _, expected = get_graph_node_names(network, suppress_diff_warning=True)
    assert list(record(network).names.values()) == expected


def test_the_blocks_of_torchvision_are_opened_and_keep_their_name():
    network = find_network("torchvision/mobilenet_v2")(num_classes=10, in_channels=3)
    _, names = get_graph_node_names(network, suppress_diff_warning=True)
    found = record(network)
    assert set(names) <= {*found.names.values(), *found.blocks}
    assert len(cut_points(network)) == 73
    assert {"features.0.0", "features.0.1", "features.0.2"} < cut_points(network).keys()


class Gated(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x
        return -x


def test_a_network_whose_steps_depend_on_values_is_refused_with_the_line():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), Gated()).train()
    with pytest.raises(LayerError, match=r"Sequential .* control flow .*if x\.sum\(\) > 0"):
        cut(network, after="0")
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "//=", "%=", "**="])
def test_python_operators_that_overwrite_do_so_in_the_graph(sign):
    class Net(nn.Module):
        def forward(self, x):
            old = x
            exec(f"x {sign} 2", {}, names := {"x": x})
            return names["x"] + old

    x = torch.rand(4) + 1
    assert torch.equal(steps_of(Net()).run(x.clone()), Net()(x.clone()))


def test_a_number_made_from_a_shape_is_not_overwritten():
    class Net(nn.Module):
        def forward(self, x):
            n = x.size(0)
            m = n
            m += 1
            return x * n + m

    x = torch.rand(4)
    assert torch.equal(steps_of(Net()).run(x), Net()(x))
