import urllib.error
import warnings

import pytest
import torch
from torch import nn
from torchvision.models import ResNet18_Weights, WeightsEnum, get_model

from frankenstein.errors import UserError
from frankenstein.zoo import WeightsWarning, build_network, torchvision_network
from frankenstein.zoo.vision import load_pretrained

NAME = "squeezenet1_1"  # whose head is a convolution


@pytest.fixture
def trained(monkeypatch):
    """Stands for torchvision's download: puts a network's own weights where it would come from."""

    def give(network):
        def get_state_dict(self, *args, weights_only=False, **kwargs):
            assert weights_only, "a download must not be able to execute code"
            print("Downloading ...")
            return network.state_dict()

        monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)
        return network

    return give


@pytest.fixture
def offline(monkeypatch):
    def get_state_dict(self, *args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", get_state_dict)


def test_with_the_classes_of_imagenet_it_is_torchvisions_network(trained, capsys):
    original = trained(get_model("resnet18")).eval()
    network = torchvision_network("resnet18", weights="DEFAULT").eval()
    assert network.input_shape == (3, 224, 224)
    assert network.weights == str(ResNet18_Weights.DEFAULT)
    assert capsys.readouterr() == ("", "Downloading ...\n")
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network(images), original(images))


@pytest.mark.parametrize("name", [NAME, "mobilenet_v3_small"])
def test_only_the_head_is_new_where_the_number_of_classes_differs(trained, name):
    original = trained(get_model(name))
    network = torchvision_network(name, num_classes=7, weights="DEFAULT")
    expected = original.state_dict()
    changed = [key for key, t in network.state_dict().items() if t.shape != expected[key].shape]
    same = [key for key in expected if torch.equal(expected[key], network.state_dict()[key])]
    head = changed[0].removesuffix(".weight")
    assert changed == [f"{head}.weight", f"{head}.bias"]
    assert set(same) == expected.keys() - set(changed)
    assert network.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 7)


def test_a_grey_image_looks_to_trained_filters_as_it_did_in_colour(trained):
    original = trained(get_model(NAME)).eval()
    network = torchvision_network(NAME, in_channels=1, weights="DEFAULT").eval()
    grey = torch.randn(2, 1, 64, 64)
    torch.testing.assert_close(network(grey), original(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("in_channels", [1, 4])
def test_random_filters_see_any_number_of_channels(in_channels):
    for name in ("torchvision/googlenet", "inceptionv1", f"torchvision/{NAME}"):
        network = build_network(name, 5, in_channels, image_size=64)
        assert network.eval()(torch.randn(2, in_channels, 64, 64)).shape == (2, 5)


def test_densenets_weights_are_found_under_their_old_names(trained):
    original = get_model("densenet121")
    old = original.state_dict()
    for key in list(old):
        for part in ("norm", "conv"):
            for number in "12":
                if f"denselayer1.{part}{number}." in key:
                    old[key.replace(f"{part}{number}.", f"{part}.{number}.")] = old.pop(key)
    original.state_dict = lambda: old
    trained(original)
    network = torchvision_network("densenet121", weights="DEFAULT")
    weight = network.features.denseblock1.denselayer1.norm1.weight
    assert torch.equal(weight, original.features.denseblock1.denselayer1.norm1.weight)


def test_googlenets_auxiliary_heads_are_left_out_and_its_input_is_rescaled(trained):
    original = trained(get_model("googlenet", init_weights=False, transform_input=True)).eval()
    network = torchvision_network("googlenet", weights="DEFAULT")
    assert not any(key.startswith("aux") for key in network.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert isinstance(network(images), torch.Tensor)  # in training mode, too
    network = torchvision_network("googlenet", weights="DEFAULT").eval()
    assert torch.equal(network(images), original(images))


def test_without_a_connection_weights_are_random_and_a_warning_says_so(offline):
    with pytest.warns(WeightsWarning, match=r"cannot be downloaded .*no route.* random weights"):
        network = build_network(f"torchvision/{NAME}", 10, 3, init_seed=5, weights="DEFAULT")
    assert network.weights is None
    other = build_network(f"torchvision/{NAME}", 10, 3, init_seed=5)
    assert torch.equal(network.features[0].weight, other.features[0].weight)


def test_random_weights_need_no_connection(offline):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert build_network(f"torchvision/{NAME}", 10, 3).weights is None


def test_weights_for_images_of_another_size_are_refused(trained):
    trained(nn.Linear(5, 2))
    with pytest.raises(UserError, match=r"V1 do not fit: .*size mismatch.*; leave image_size as"):
        load_pretrained(nn.Linear(4, 2), ResNet18_Weights.DEFAULT)


def test_the_seed_decides_the_new_head_of_a_trained_network(trained):
    trained(get_model(NAME))
    heads = [
        build_network(f"torchvision/{NAME}", 7, 3, seed, weights="DEFAULT").classifier[1].weight
        for seed in (0, 0, 1)
    ]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_inceptionv1_is_torchvisions_googlenet():
    network = build_network("inceptionv1", 1000, 3)
    original = get_model("googlenet", aux_logits=False, init_weights=False)
    original.load_state_dict(network.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(network.eval()(images), original.eval()(images))


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("resnet51", {}, r"no classifier 'resnet51'; .* did you mean resnet18 or resnet50 or"),
        ("fcn_resnet50", {}, "no classifier 'fcn_resnet50'"),
        ("resnet18", {"weights": "DEFAUL"}, r"no weights 'DEFAUL'; known: DEFAULT, IMAGENET1K_V1;"),
        ("vit_b_32", {"image_size": 40}, r"cannot see images of 40 pixels: .*patch size"),
        ("alexnet", {"image_size": 16}, r"torchvision/alexnet cannot see images of 16 pixels"),
    ],
)
def test_what_torchvision_does_not_have_is_refused(name, options, text):
    with pytest.raises(UserError, match=text):
        build_network(f"torchvision/{name}", in_channels=3, **options)


def test_a_head_that_is_a_convolution_stays_one():
    network = torchvision_network(NAME, num_classes=7)
    assert isinstance(network.classifier[1], nn.Conv2d)
