"""The zoo: plain networks, by name, and their files."""

from frankenstein.zoo.build import build_network
from frankenstein.zoo.dense import dense
from frankenstein.zoo.files import Card, load_network, network_sha256, read_card, save_network
from frankenstein.zoo.lenet import lenet
from frankenstein.zoo.mlp import mlp
from frankenstein.zoo.tiny10 import tiny10

__all__ = [
    "Card",
    "build_network",
    "dense",
    "lenet",
    "load_network",
    "mlp",
    "network_sha256",
    "read_card",
    "save_network",
    "tiny10",
]
