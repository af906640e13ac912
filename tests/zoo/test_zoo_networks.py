import pytest
import torch

from frankenstein.catalog import NETWORKS
from frankenstein.errors import UserError
from frankenstein.zoo import build_network


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("num_classes", "in_channels"), [(10, 1), (7, 3)])
def test_every_network_maps_images_of_its_size_to_logits(name, num_classes, in_channels):
    network = build_network(name, num_classes, in_channels)
    size = NETWORKS[name].image_size
    assert network.input_shape == (in_channels, size, size)
    logits = network(torch.randn(3, *network.input_shape))
    assert logits.shape == (3, num_classes)
    assert logits.isfinite().all()
    assert (logits[0] != logits[1]).any()


@pytest.mark.parametrize("name", NETWORKS)
def test_examples_do_not_feel_each_other_in_evaluation(name):
    network = build_network(name).eval()
    images = torch.randn(4, *network.input_shape)
    alone = torch.cat([network(image) for image in images.split(1)])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_init_seed_decides_the_weights_and_nothing_else_does(name):
    first = build_network(name, init_seed=3)
    torch.rand(5)
    assert same_weights(build_network(name, init_seed=3), first)
    assert not same_weights(build_network(name, init_seed=4), first)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_global_generator_goes_on_as_if_no_network_had_been_built(name):
    before = torch.get_rng_state()
    build_network(name, init_seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_seed_two_networks_differ(name):
    assert not same_weights(build_network(name), build_network(name))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_is_reached_by_the_gradient(name):
    network = build_network(name)
    network(torch.randn(4, *network.input_shape)).logsumexp(1).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_tiny10_has_the_names_and_shapes_of_dr_frankensteins():
    kernels = [(16, 1, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3)]
    kernels += [(64, 32, 3, 3), (64, 64, 3, 3), (64, 64, 1, 1)]
    expected = {"fc.weight": (10, 64), "fc.bias": (10,)}
    for i, kernel in enumerate(kernels, start=1):
        width = kernel[:1]
        expected |= {f"conv{i}.weight": kernel, f"conv{i}.bias": width}
        expected |= {f"bn{i}.{part}": width for part in ("weight", "bias")}
        expected |= {f"bn{i}.running_{part}": width for part in ("mean", "var")}
        expected |= {f"bn{i}.num_batches_tracked": ()}
    found = {name: tuple(t.shape) for name, t in build_network("tiny10").state_dict().items()}
    assert found == expected


def test_unknown_networks_are_refused():
    with pytest.raises(UserError, match="unknown network 'tiny1'; known: tiny10, lenet"):
        build_network("tiny1")
