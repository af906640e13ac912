"""Two networks that see the same images, and answer alike questions."""

from frankenstein.errors import UserError
from frankenstein.networks.data import kind_of
from frankenstein.networks.network import Network, open_network
from frankenstein.shapes import ShapeError
from frankenstein.zoo.state_dicts import STATE_DICTS


def open_pair(sender: str, receiver: str, model: str | None = None) -> tuple[Network, Network]:
    """Two saved networks that see the same images; `model` is what files of tensors hold.

    Raises:
        FileError: for a file that does not hold a network.
        ShapeError: if they are made for different images.
        UserError: if a model is named, and both files say themselves what they hold.
    """
    check_model(model, sender, receiver)
    pair = open_network(sender, "sender", model), open_network(receiver, "receiver", model)
    check_same_images(*pair)
    return pair


def check_same_images(one: Network, other: Network) -> None:
    """Refuse networks that are made for images of other shapes.

    Raises:
        ShapeError: if they are.
    """
    if one.input_shape != other.input_shape:
        raise ShapeError(
            f"{one.source} sees images of shape {one.input_shape} and {other.source} of "
            f"{other.input_shape}; take networks that are made for the same images"
        )


def check_same_answers(sender: Network, receiver: Network) -> None:
    """Refuse networks that tell other classes apart, or of which one answers several questions.

    Raises:
        UserError: if they do.
    """
    kinds = [kind_of(network.dataset) for network in (sender, receiver)]
    if None not in kinds and kinds[0] != kinds[1]:
        raise UserError(
            f"the sender was trained on {sender.dataset}, which has {kinds[0]}, and the receiver "
            f"on {receiver.dataset}, which has {kinds[1]}; take networks of one data set"
        )
    if sender.card.num_classes != receiver.card.num_classes:
        raise UserError(
            f"the sender tells {sender.card.num_classes} classes apart and the receiver "
            f"{receiver.card.num_classes}; take networks of one data set"
        )


def check_model(model: str | None, *files: str) -> None:
    """Refuse to be told what a file holds that says so itself.

    Raises:
        UserError: if a model is named, and no file is a state dict.
    """
    if model is not None and not any(file.endswith(STATE_DICTS) for file in files):
        raise UserError(
            f"‹model› {model} says what a .pt file holds, and {' and '.join(files)} say so "
            "themselves; leave it out"
        )
