"""The two networks of a stitching run, checked against each other before anything runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from frankenstein.errors import UserError
from frankenstein.networks.label_checks import kind_of
from frankenstein.shapes import ShapeError
from frankenstein.surgery import Joint, cut_points, join
from frankenstein.zoo import Card, load_network, read_card
from frankenstein.zoo.state_dicts import STATE_DICTS


class Pair(NamedTuple):
    """Two networks, the receiver's card, and how they are joined."""

    sender: nn.Module
    receiver: nn.Module
    card: Card
    joint: Joint


def load_pair(sender: str, receiver: str, model: str | None = None) -> tuple[nn.Module, nn.Module]:
    """Two saved networks that see the same images; `model` is what state dicts are those of.

    Raises:
        FileError: for a file that does not hold a network.
        ShapeError: if they are made for different images.
    """
    pair = load_network(sender, model), load_network(receiver, model)
    shapes = [tuple(network.input_shape) for network in pair]  # type: ignore[arg-type]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"{sender} sees images of shape {shapes[0]} and {receiver} of {shapes[1]}; "
            "take networks that are made for the same images"
        )
    return pair


def check_model(model: str | None, *files: str) -> None:
    """Refuse to be told what a file holds that says so itself.

    Raises:
        UserError: if a model is named, and no file is a state dict.
    """
    if model is not None and not any(file.endswith(STATE_DICTS) for file in files):
        raise UserError(
            f"--model {model} says what a .pt file holds, and {' and '.join(files)} say so "
            "themselves; leave it out"
        )


def load_networks(values: Mapping[str, Any]) -> tuple[nn.Module, nn.Module, Card]:
    """Both networks of a stitching run, and the receiver's card.

    Raises:
        FileError: for a file that does not hold a network.
        ShapeError: if they are made for different images.
        UserError: if they tell different numbers of classes apart, or one of them several labels.
    """
    check_model(values["model"], values["sender"], values["receiver"])
    sender, receiver = load_pair(values["sender"], values["receiver"], values["model"])
    cards = [read_card(values[side], values["model"]) for side in ("sender", "receiver")]
    kinds = [kind_of(card.dataset) for card in cards]
    if None not in kinds and kinds[0] != kinds[1]:
        raise UserError(
            f"the sender was trained on {cards[0].dataset}, which has {kinds[0]}, and the receiver "
            f"on {cards[1].dataset}, which has {kinds[1]}; take networks of one data set"
        )
    if cards[0].num_classes != cards[1].num_classes:
        raise UserError(
            f"the sender tells {cards[0].num_classes} classes apart and the receiver "
            f"{cards[1].num_classes}; take networks of one data set"
        )
    return sender, receiver, cards[1]


def load_joint(values: Mapping[str, Any]) -> Pair:
    """The networks of a stitching run, which fit together at the layers asked for.

    Raises:
        FileError: for a file that does not hold a network.
        LayerError: for a layer after which a network cannot be cut.
        ShapeError: if the sender's representation cannot be laid like the receiver's.
        UserError: if the networks tell different numbers of classes apart, or an option is of no
            use to them.
    """
    sender, receiver, card = load_networks(values)
    layers = values["sender_layer"], values["receiver_layer"]
    joint = join(sender, receiver, *layers, values["flatten"])
    shapes = (cut_points(one)[layer] for one, layer in zip((sender, receiver), layers, strict=True))
    if values["flatten"] and all(len(shape) == 1 for shape in shapes):
        raise UserError(
            f"--flatten goes from place to place, and {layers[0]} and {layers[1]} have none; "
            "leave it out"
        )
    return Pair(sender, receiver, card, joint)
