"""Trained networks on disk: weights, and the card that says what they are."""

from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from frankenstein.catalog import NETWORKS
from frankenstein.files import FileError, load_tensors, save_tensors, tensors_sha256
from frankenstein.zoo.build import build_network


@dataclass(frozen=True)
class Card:
    """What is needed to build a saved network again, and how it came to be."""

    architecture: str
    num_classes: int
    in_channels: int
    dataset: str
    init_seed: int
    order_seed: int
    epochs: int


def save_network(path: str | Path, network: nn.Module, card: Card) -> Path:
    """Save a network of the zoo as safetensors with its card and a checksum."""
    return save_tensors(path, network.state_dict(), {"kind": "network", **asdict(card)})


def load_network(path: str | Path) -> nn.Module:
    """A saved network in evaluation mode.

    Raises:
        FileError: if the file is absent, damaged, or does not hold a network of this zoo.
    """
    tensors, facts = load_tensors(path)
    card = _card(path, facts)
    network = build_network(card.architecture, card.num_classes, card.in_channels, card.init_seed)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise FileError(
            f"{path} does not fit its architecture {card.architecture}: {reason}"
        ) from None
    return network.eval()


def read_card(path: str | Path) -> Card:
    """The card of a saved network.

    Raises:
        FileError: if the file is absent, damaged, or does not hold a network.
    """
    return _card(path, load_tensors(path)[1])


def network_sha256(network: nn.Module) -> str:
    """Fingerprint of a network's weights and buffers, BatchNorm statistics included."""
    return tensors_sha256(network.state_dict())


def _card(path: str | Path, facts: dict) -> Card:
    if facts.pop("kind", None) != "network":
        raise FileError(
            f"{path} holds no network but something else; give a file that train.py wrote"
        )
    try:
        card = Card(**facts)
    except TypeError as error:
        raise FileError(f"{path} has a card of another version of frankenstein: {error}") from None
    if card.architecture not in NETWORKS:
        raise FileError(
            f"{path} holds a network {card.architecture!r}, unknown to this zoo; "
            f"known: {', '.join(NETWORKS)}"
        )
    return card
