"""The zoo: plain networks, by name, and their files."""

from frankenstein.zoo.build import build_network
from frankenstein.zoo.dense import dense
from frankenstein.zoo.files import (
    Card,
    load_network,
    network_sha256,
    open_saved,
    read_card,
    save_network,
    untrained,
)
from frankenstein.zoo.inceptionv1 import inceptionv1
from frankenstein.zoo.lenet import lenet
from frankenstein.zoo.mlp import mlp
from frankenstein.zoo.resnet20 import resnet20
from frankenstein.zoo.tiny10 import nbn_tiny10, tiny10
from frankenstein.zoo.vision import WeightsWarning, torchvision_network

__all__ = [
    "Card",
    "WeightsWarning",
    "build_network",
    "dense",
    "inceptionv1",
    "lenet",
    "load_network",
    "mlp",
    "nbn_tiny10",
    "network_sha256",
    "open_saved",
    "read_card",
    "resnet20",
    "save_network",
    "tiny10",
    "torchvision_network",
    "untrained",
]
