import pytest
import torch

from frankenstein.catalog import ARCHITECTURES, find_network
from frankenstein.errors import UserError
from frankenstein.zoo import build_network

# One of each row; torchvision's have tests of their own.
ZOO = [
    name.replace("dense_w<k>", "dense_w32").replace("<k>", "1")
    for name, row in ARCHITECTURES.items()
    if "<name>" not in name and row.reads == "images"
]
RESIZABLE = {"tiny10", "nbn_tiny10", "resnet20_w1", "vit_tiny", "inceptionv1"}


def small(name, num_classes=10, in_channels=1, init_seed=None):
    """A network of the zoo, for the smallest images that it is fast on."""
    size = 64 if name == "inceptionv1" else None
    return build_network(name, num_classes, in_channels, init_seed, size)


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize(("num_classes", "in_channels"), [(10, 1), (7, 3)])
def test_every_network_maps_images_of_its_size_to_logits(name, num_classes, in_channels):
    network = build_network(name, num_classes, in_channels)
    size = find_network(name).image_size
    assert network.input_shape == (in_channels, size, size)
    network = small(name, num_classes, in_channels)
    logits = network(torch.randn(3, *network.input_shape))
    assert logits.shape == (3, num_classes)
    assert logits.isfinite().all()
    assert (logits[0] != logits[1]).any()


@pytest.mark.parametrize("name", ZOO)
def test_examples_do_not_feel_each_other_in_evaluation(name):
    network = small(name).eval()
    images = torch.randn(4, *network.input_shape)
    alone = torch.cat([network(image) for image in images.split(1)])
    torch.testing.assert_close(network(images), alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_the_init_seed_decides_the_weights_and_nothing_else_does(name):
    first = small(name, init_seed=3)
    torch.rand(5)
    assert same_weights(small(name, init_seed=3), first)
    assert not same_weights(small(name, init_seed=4), first)


@pytest.mark.parametrize("name", ZOO)
def test_the_global_generator_goes_on_as_if_no_network_had_been_built(name):
    before = torch.get_rng_state()
    small(name, init_seed=3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ZOO)
def test_without_a_seed_two_networks_differ(name):
    assert not same_weights(small(name), small(name))


@pytest.mark.parametrize("name", ZOO)
def test_every_layer_is_reached_by_the_gradient(name):
    network = small(name)
    network(torch.randn(4, *network.input_shape)).logsumexp(1).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("name", ZOO)
def test_other_sizes_of_image_are_seen_or_refused_before_any_work(name):
    if name in RESIZABLE:
        network = build_network(name, image_size=48)
        assert network.training
        assert network(torch.randn(2, *network.input_shape)).shape == (2, 10)
        assert network.input_shape == (1, 48, 48)
    else:
        with pytest.raises(UserError, match=f"{name} sees images of .* only, got 48; leave image"):
            build_network(name, image_size=48)
    own = find_network(name).image_size
    assert build_network(name, image_size=own).input_shape == (1, own, own)


def test_images_too_small_for_a_network_are_refused_with_the_reason():
    with pytest.raises(UserError, match=r"tiny10 cannot see images of 8 pixels: .*[Kk]ernel size"):
        build_network("tiny10", image_size=8)


def test_trained_weights_are_refused_where_there_are_none():
    with pytest.raises(UserError, match="no trained weights for lenet, got 'DEFAULT'; those of"):
        build_network("lenet", weights="DEFAULT")


@pytest.mark.parametrize("batch_norm", [True, False])
def test_tiny10_has_the_names_and_shapes_of_dr_frankensteins(batch_norm):
    kernels = [(16, 1, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3)]
    kernels += [(64, 32, 3, 3), (64, 64, 3, 3), (64, 64, 1, 1)]
    expected = {"fc.weight": (10, 64), "fc.bias": (10,)}
    for i, kernel in enumerate(kernels, start=1):
        width = kernel[:1]
        expected |= {f"conv{i}.weight": kernel, f"conv{i}.bias": width}
        if batch_norm:
            expected |= norm(f"bn{i}", width[0])
    assert shapes("tiny10" if batch_norm else "nbn_tiny10") == expected


@pytest.mark.parametrize("k", [1, 3])
def test_resnet20_has_the_names_and_shapes_of_dr_frankensteins(k):
    expected = {"conv1.weight": (16 * k, 1, 3, 3), **norm("bn1", 16 * k)}
    expected |= {"fc.weight": (10, 64 * k), "fc.bias": (10,)}
    before = 16 * k
    for stage, width in enumerate([16 * k, 32 * k, 64 * k], start=1):
        for block in range(3):
            at = f"layer{stage}.{block}"
            expected[f"{at}.conv1.weight"] = (width, before, 3, 3)
            expected[f"{at}.conv2.weight"] = (width, width, 3, 3)
            expected |= norm(f"{at}.bn1", width) | norm(f"{at}.bn2", width)
            if before != width:
                expected[f"{at}.downsample.0.weight"] = (width, before, 1, 1)
                expected |= norm(f"{at}.downsample.1", width)
            before = width
    assert shapes(f"resnet20_w{k}") == expected


def norm(at, width):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{at}.num_batches_tracked": ()} | {f"{at}.{part}": (width,) for part in parts}


def shapes(name):
    return {key: tuple(t.shape) for key, t in build_network(name).state_dict().items()}


@pytest.mark.parametrize("name", ["tiny1", "resnet20_w0", "resnet20_w<k>", "torchvision/a/b", ""])
def test_unknown_networks_are_refused(name):
    text = f"unknown network '{name}'; known: tiny10, nbn_tiny10, resnet20_w<k>, lenet"
    with pytest.raises(UserError, match=text):
        build_network(name)
