import os
import pickle

import pytest
import torch
from torch import nn

from frankenstein.catalog import ARCHITECTURES
from frankenstein.files import FileError
from frankenstein.zoo import build_network, load_network, network_sha256, read_card
from frankenstein.zoo.weights import load_weights

pytestmark = pytest.mark.filterwarnings("ignore:.*has no checksum")

# One name of each row that is told by its shapes, and a wide one.
IMAGES = [name for name, row in ARCHITECTURES.items() if row.reads == "images"]
KNOWN = [name.replace("<k>", "1") for name in IMAGES if "/" not in name] + ["resnet20_w4"]


def save(path, content, old=True):
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize(("num_classes", "in_channels", "old"), [(10, 3, True), (7, 1, False)])
def test_a_state_dict_alone_tells_its_network(tmp_path, name, num_classes, in_channels, old):
    network = build_network(name, num_classes, in_channels)
    # The folders name another network: they are not asked.
    folder = tmp_path / "LeNet" / "CIFAR100"
    folder.mkdir(parents=True)
    path = save(folder / "110000.pt", network.state_dict(), old)
    card = read_card(path)
    assert (card.architecture, card.num_classes, card.in_channels) == (
        name,
        num_classes,
        in_channels,
    )
    assert card.dataset is card.init_seed is card.order_seed is card.epochs is None
    loaded = load_network(path)
    assert not loaded.training
    assert network_sha256(loaded) == network_sha256(network)


def test_loading_leaves_the_global_generator_alone(tmp_path):
    path = save(tmp_path / "network.pt", build_network("mlp").state_dict())
    before = torch.get_rng_state()
    load_network(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_order_of_the_tensors_does_not_matter(tmp_path):
    state = build_network("lenet", 7, 3).state_dict()
    path = save(tmp_path / "network.pth", dict(reversed(state.items())))
    card = read_card(path)
    assert (card.architecture, card.num_classes, card.in_channels) == ("lenet", 7, 3)


def test_a_network_of_torchvision_is_loaded_if_it_is_named(tmp_path):
    name = "torchvision/squeezenet1_1"
    network = build_network(name, 5, 1)
    path = save(tmp_path / "network.pt", network.state_dict())
    with pytest.raises(FileError, match=r"network\.pt holds no network of the zoo: it has 52 ten"):
        load_network(path)
    assert read_card(path, architecture=name).num_classes == 5
    loaded = load_network(path, architecture=name)
    assert loaded.input_shape == (1, 224, 224)
    assert network_sha256(loaded) == network_sha256(network)


def test_a_network_that_it_is_not_is_refused_with_what_was_found(tmp_path):
    path = save(tmp_path / "network.pt", build_network("tiny10").state_dict())
    text = (
        r"network\.pt holds no lenet: it has 58 tensors, conv1\.weight \(16, 1, 3, 3\), .* \.\.\."
    )
    with pytest.raises(FileError, match=text):
        load_network(path, architecture="lenet")


def changed(name, key, tensor):
    return build_network(name).state_dict() | {key: tensor}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({}, "holds no network of the zoo: it has 0 tensors, none; known by their shapes: tiny10"),
        (lambda: changed("mlp", "fc2.weight", torch.zeros(3, 3)), "holds no network of the zoo"),
        (lambda: changed("mlp", "fc1.weight", torch.zeros(32)), "holds no network of the zoo"),
        (lambda: changed("mlp", "fc3.weight", torch.tensor(3.0)), "holds no network of the zoo"),
        (lambda: changed("mlp", "fc4.weight", torch.zeros(3, 3)), "holds no network of the zoo"),
        (lambda: changed("resnet20_w1", "conv1.weight", torch.zeros(0, 3, 3, 3)), "holds no netw"),
        (lambda: changed("resnet20_w2", "fc.bias", torch.zeros(11)), "holds no network of the zoo"),
        (torch.zeros(3), "holds a Tensor, not named tensors; save network.state_dict"),
        ({"epoch": 3, "model": {}}, "holds a dict of epoch, model, not named tensors"),
        ([torch.zeros(3)], "holds a list, not named tensors"),
    ],
)
@pytest.mark.parametrize("old", [True, False])
def test_what_is_no_network_is_refused_with_what_was_found(tmp_path, content, text, old):
    path = save(tmp_path / "other.pt", content() if callable(content) else content, old)
    for read in (load_network, read_card):
        with pytest.raises(FileError, match=rf"other\.pt {text}"):
            read(path)


class Mischief:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("way", ["old", "new", "bare pickle"])
@pytest.mark.parametrize("forced", ["0", "1"])
def test_a_file_cannot_execute_code_even_where_torch_is_told_to_let_it(
    tmp_path, monkeypatch, way, forced
):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
    path, folder = tmp_path / "network.pt", tmp_path / "done"
    content = build_network("mlp").state_dict() | {"fc1.bias": Mischief(folder)}
    if way == "bare pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        save(path, content, old=way == "old")
    for read in (load_network, read_card):
        with pytest.raises(
            FileError, match=r"cannot be read \(UnpicklingError\): it is damaged or"
        ):
            read(path)
    assert not folder.exists()


def test_a_whole_network_pickled_is_refused(tmp_path):
    path = save(tmp_path / "network.pt", build_network("mlp"))
    with pytest.raises(FileError, match=r"network\.pt cannot be read .* save network\.state_dict"):
        load_network(path)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.9])
def test_a_file_cut_short_is_refused_by_name(tmp_path, old, kept):
    path = save(tmp_path / "network.pt", build_network("lenet").state_dict(), old)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileError, match=r"network\.pt cannot be read"):
        load_network(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"no file .*absent\.pt; is the path right"):
        read_card(tmp_path / "absent.pt")


def test_statistics_beyond_the_networks_precision_are_refused_and_a_mask_may_be_infinite():
    network = nn.BatchNorm1d(2)
    network.register_buffer("mask", torch.zeros(2))
    state = network.state_dict() | {"mask": torch.tensor([0.0, -torch.inf])}
    load_weights(network, state, "a.pt", "it")
    assert network.mask.isinf().sum() == 1
    state["running_var"] = state["running_var"].double() * 1e300
    with pytest.raises(FileError, match=r"NaN or Inf in 1 tensor \(running_var\)"):
        load_weights(network, state, "a.pt", "it")
