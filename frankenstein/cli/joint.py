"""The two networks of a stitching run, checked against each other before anything runs."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError
from frankenstein.surgery import cut, cut_points
from frankenstein.zoo import Card, load_network, read_card


class Joint(NamedTuple):
    """Two networks, the receiver's card, and the number of units at their cuts."""

    sender: nn.Module
    receiver: nn.Module
    card: Card
    in_channels: int
    out_channels: int


def load_pair(sender: str, receiver: str) -> tuple[nn.Module, nn.Module]:
    """Two saved networks that see the same images.

    Raises:
        FileError: for a file that does not hold a network.
        ShapeError: if they are made for different images.
    """
    pair = load_network(sender), load_network(receiver)
    shapes = [tuple(network.input_shape) for network in pair]  # type: ignore[arg-type]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"{sender} sees images of shape {shapes[0]} and {receiver} of {shapes[1]}; "
            "take networks that are made for the same images"
        )
    return pair


def load_joint(values: Mapping[str, Any]) -> Joint:
    """The networks of a stitching run, which fit together at the layers asked for.

    Raises:
        FileError: for a file that does not hold a network.
        LayerError: for a layer after which a network cannot be cut.
        ShapeError: if the two representations do not lie on the same grid of places.
        UserError: if the networks tell different numbers of classes apart.
    """
    sender, receiver = load_pair(values["sender"], values["receiver"])
    cards = [read_card(values[side]) for side in ("sender", "receiver")]
    if cards[0].num_classes != cards[1].num_classes:
        raise UserError(
            f"the sender tells {cards[0].num_classes} classes apart and the receiver "
            f"{cards[1].num_classes}; take networks of one data set"
        )
    source = _shape(sender, values["sender_layer"])
    target = _shape(receiver, values["receiver_layer"])
    if source[1:] != target[1:]:
        raise ShapeError(
            f"{values['sender_layer']} of the sender has shape {source} and "
            f"{values['receiver_layer']} of the receiver {target}; take layers whose places agree "
            "(see `frankenstein layers`)"
        )
    return Joint(sender, receiver, cards[1], source[0], target[0])


def _shape(network: nn.Module, layer: str) -> tuple[int, ...]:
    points = cut_points(network)
    if layer not in points:
        cut(network, after=layer)  # raises, with the reason
    return points[layer]
