"""Trained networks on disk: weights, and the card that says what they are."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from torch import Tensor, nn

from frankenstein.catalog import ARCHITECTURES, find_network
from frankenstein.errors import UserError
from frankenstein.files import FileError, check_sizes, save_tensors, tensors_sha256
from frankenstein.records import check_fields
from frankenstein.zoo.build import build_network
from frankenstein.zoo.state_dicts import describe
from frankenstein.zoo.weights import load_weights, read_weights


@dataclass(frozen=True)
class Card:
    """What is needed to build a saved network again, and how it came to be; None is unknown."""

    architecture: str  # as find_network takes it: it says all that the zoo needs to know
    num_classes: int
    in_channels: int
    dataset: str | None
    init_seed: int | None
    order_seed: int | None
    epochs: int | None
    image_size: int | None = None  # None: what the architecture is made for
    weights: str | None = None  # what training started from; None: random weights
    text: str | None = None  # of sentences, the files that they are from, with their fingerprints
    # Of a snapshot, when it was taken; None once the training, of `epochs`, is over.
    step: int | None = None
    epoch: int | float | None = None
    # What it learned from, as `train` says it; a card without random_labels knows none of these.
    random_labels: float | None = None  # share of the training images
    marker: float | None = None  # how often it tells the class; None: there was none
    augmentation: int | None = None  # times over


class GraftFileError(FileError):
    """A file that is given for a network's holds a graft."""


def save_network(path: str | Path, network: nn.Module, card: Card) -> Path:
    """Save a network of the zoo as safetensors with its card and a checksum."""
    return save_tensors(path, network.state_dict(), {"kind": "network", **asdict(card)})


def load_network(path: str | Path, architecture: str | None = None) -> nn.Module:
    """A saved network in evaluation mode, as `open_saved`."""
    return open_saved(path, architecture)[0]


def open_saved(path: str | Path, architecture: str | None = None) -> tuple[nn.Module, Card]:
    """A saved network in evaluation mode, and its card; the file is read once.

    A file that frankenstein did not write holds a state dict, alone, such as Dr. Frankenstein's, or
    in a trainer's checkpoint (`read_weights`). Which network it is the state of is told from its
    names and shapes, or given as `architecture`.

    Raises:
        FileError: if the file is absent, damaged, or does not hold a network of this zoo.
    """
    tensors, card = _read(path, architecture)
    # Any seed will do, and one leaves the global generator alone.
    network = untrained(card, 0)
    load_weights(network, tensors, path, f"its architecture {card.architecture}")
    if card.weights is not None:
        # They say how its images are prepared.
        network.weights = card.weights  # type: ignore[assignment]
    return network.eval(), card


def check_card(record: Mapping[str, Any], where: str) -> None:
    """Refuse a card whose fields are of other types.

    Raises:
        FileError: if one is.
    """
    check_fields(record, get_type_hints(Card), where)
    if record["num_classes"] < 1 or record["in_channels"] < 0:
        raise FileError(f"{where}: there is at least one class, and no channel but of text")


def untrained(card: Card, seed: int) -> nn.Module:
    """A network of the kind that a card says, with the random weights of a seed."""
    return build_network(
        card.architecture, card.num_classes, card.in_channels, seed, card.image_size
    )


def read_card(path: str | Path, architecture: str | None = None) -> Card:
    """The card of a saved network; of a state dict alone, what can be told from its shapes.

    Raises:
        FileError: if the file is absent, damaged, or does not hold a network.
    """
    return _read(path, architecture)[1]


def network_sha256(network: nn.Module) -> str:
    """Fingerprint of a network's weights and buffers, BatchNorm statistics included."""
    return tensors_sha256(network.state_dict())


def _read(path: str | Path, architecture: str | None) -> tuple[dict[str, Tensor], Card]:
    tensors, facts = read_weights(path)
    if facts is not None:
        return tensors, _card(path, facts, tensors)
    name, num_classes, in_channels = describe(path, tensors, architecture)
    unknown = {"dataset": None, "init_seed": None, "order_seed": None, "epochs": None}
    return tensors, Card(name, num_classes, in_channels, **unknown)


def _card(path: str | Path, facts: dict[str, Any], tensors: Mapping[str, Tensor]) -> Card:
    kind = facts.pop("kind", None)
    if kind == "graft":
        raise GraftFileError(
            f"{path} holds a graft of two networks; `frankenstein evaluate` takes it, and "
            "frankenstein.stitching.open_graft in Python"
        )
    if kind != "network":
        raise FileError(
            f"{path} holds no network but something else; give a file that train.py wrote"
        )
    try:
        card = Card(**facts)
    except TypeError as error:
        raise FileError(f"{path} has a card of another version of frankenstein: {error}") from None
    check_card(facts, f"the card in {path}")
    try:
        find_network(card.architecture)
    except UserError:
        raise FileError(
            f"{path} holds a network {card.architecture!r}, unknown to this zoo; "
            f"known: {', '.join(ARCHITECTURES)}"
        ) from None
    try:
        check_sizes(partial(untrained, card, 0), tensors)
    except Exception as error:  # a card may say anything to a constructor
        reason = " ".join(str(error).split())
        raise FileError(
            f"{path} does not fit its architecture {card.architecture}: {reason}"
        ) from None
    return card
