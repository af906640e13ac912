from dataclasses import asdict, replace

import pytest
import torch

from frankenstein.catalog import ARCHITECTURES
from frankenstein.files import FileError, save_tensors
from frankenstein.zoo import (
    Card,
    build_network,
    load_network,
    network_sha256,
    read_card,
    save_network,
)

CARD = Card(
    architecture="tiny10",
    num_classes=7,
    in_channels=3,
    dataset="digits",
    init_seed=0,
    order_seed=1,
    epochs=2,
)


# One of each row.
ZOO = [
    name.replace("<k>", "2").replace("<name>", "mobilenet_v3_small")
    for name, row in ARCHITECTURES.items()
    if row.reads == "images"
]
# Files that were written before cards had more fields than these.
FIRST_FIELDS = [
    "architecture",
    "num_classes",
    "in_channels",
    "dataset",
    "init_seed",
    "order_seed",
    "epochs",
]


def trained(card=CARD):
    network = build_network(
        card.architecture, card.num_classes, card.in_channels, image_size=card.image_size
    )
    network(torch.randn(4, *network.input_shape))  # moves the statistics of BatchNorm
    return network


@pytest.mark.parametrize("name", ZOO)
def test_a_network_comes_back_bit_for_bit_with_its_card(tmp_path, name):
    fixed = name in ("lenet", "dense", "dense_w2", "mlp")
    card = replace(CARD, architecture=name, image_size=None if fixed else 64)
    network = trained(card)
    path = save_network(tmp_path / "network.safetensors", network, card)
    loaded = load_network(path)
    assert read_card(path) == card
    assert not loaded.training
    assert network_sha256(loaded) == network_sha256(network)
    assert loaded.state_dict().keys() == network.state_dict().keys()
    for key, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor)
    images = torch.randn(2, *network.input_shape)
    assert torch.equal(loaded(images), network.eval()(images))


def test_a_file_written_before_cards_had_more_fields_still_loads(tmp_path):
    network = trained()
    facts = {name: value for name, value in asdict(CARD).items() if name in FIRST_FIELDS}
    path = save_tensors(
        tmp_path / "old.safetensors", network.state_dict(), {"kind": "network", **facts}
    )
    assert read_card(path) == CARD
    assert network_sha256(load_network(path)) == network_sha256(network)


def test_the_fingerprint_feels_every_weight_and_statistic():
    network = trained()
    before = network_sha256(network)
    network.bn3.running_mean[5] += 1e-6
    assert network_sha256(network) != before


@pytest.mark.parametrize("damage", ["flipped weight", "flipped card", "cut short"])
def test_a_damaged_file_is_refused_by_name(tmp_path, damage):
    path = save_network(tmp_path / "network.safetensors", trained(), CARD)
    content = bytearray(path.read_bytes())
    if damage == "flipped weight":
        content[-100] ^= 1
    elif damage == "flipped card":
        content[content.index(b"digits")] ^= 1
    else:
        del content[-1:]
    path.write_bytes(content)
    for read in (load_network, read_card):
        with pytest.raises(FileError, match=r"network\.safetensors is (damaged|not a whole)"):
            read(path)


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"kind": "stitch"}, "holds no network but something else; give a file that train"),
        ({"kind": "network", "architecture": "lenet"}, "has a card of another version"),
        (
            {"kind": "network", **asdict(CARD), "pruned": True},
            "has a card of another version of frankenstein",
        ),
        (
            {"kind": "network", **asdict(CARD), "architecture": "vgg"},
            "holds a network 'vgg', unknown to this zoo; known: tiny10",
        ),
        (
            {"kind": "network", **asdict(CARD), "num_classes": 8},
            "does not fit its architecture tiny10: .*size mismatch for fc.weight",
        ),
    ],
)
def test_files_of_something_else_are_refused_by_name(tmp_path, record, text):
    path = save_tensors(tmp_path / "other.safetensors", trained().state_dict(), record)
    with pytest.raises(FileError, match=rf"other\.safetensors {text}"):
        load_network(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileError, match=r"no file .*absent\.safetensors"):
        load_network(tmp_path / "absent.safetensors")
