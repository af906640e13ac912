"""Two networks and the data set that they see: loaded, prepared, checked against each other."""

from collections.abc import Sequence

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.networks.network import Network, open_network
from frankenstein.report.progress import progress
from frankenstein.shapes import ShapeError
from frankenstein.zoo.state_dicts import STATE_DICTS


def data_for(
    network: Network,
    dataset: str | None,  # None: the one that it was trained on
    data_root: str | None = None,
    batch_size: int = 128,  # of training
    eval_batch_size: int = 250,
    order_seed: int = 0,
    answering: Sequence[Network] = (),  # those whose answers are held against the labels
) -> ImageData:
    """A data set, loaded, in the size of image that a network is made for.

    A network that comes from trained weights of torchvision sees what these prescribe.

    Raises:
        UserError: if the network sees images with another number of channels, no data set is named,
            neither by the user nor in the network's file, or the labels do not fit the answers.
    """
    dataset = dataset or network.dataset
    if dataset is None:
        raise UserError(
            "the network's file does not say what data it was trained on; choose ‹dataset›"
        )
    channels, _, size = network.input_shape
    if DATASETS[dataset].in_channels != channels:
        raise UserError(
            f"{dataset} has images of {DATASETS[dataset].in_channels} channels, and the network "
            f"takes {channels}; choose ‹dataset› among "
            + ", ".join(name for name, row in DATASETS.items() if row.in_channels == channels)
        )
    check_labels(dataset, data_root, answering)
    data = DATASETS[dataset](
        image_size=size,
        batch_size=batch_size,
        order_seed=order_seed,
        data_root=data_root,
        eval_batch_size=eval_batch_size,
        preprocessing=network.eyes,
    )
    data.setup()
    return data


def check_data(data: ImageData, quiet: bool) -> None:
    """Read files of images through before a training, with a bar if that has not been done before.

    Raises:
        DataError: if some cannot be read, or there is no image of a class.
    """
    data.check(lambda parts, name: progress(parts, name, quiet))


def check_labels(dataset: str, data_root: str | None, networks: Sequence[Network]) -> None:
    """Refuse labels of another kind or number than networks answer with.

    What kind a network answers with is known from the data set that it was trained on, if that is
    known.

    Raises:
        UserError: if these have several labels for an image and those one class, or the other way
            round, or if a network tells another number of classes apart.
    """
    for network in networks:
        here, there = kind_of(dataset), kind_of(network.dataset)
        if there not in (None, here):
            raise UserError(
                f"{dataset} has {here}, and the {network.role} was trained on {network.dataset}, "
                f"which has {there}; choose the ‹dataset› that it was trained on"
            )
        num_classes = num_classes_of(dataset, data_root)
        if network.card.num_classes != num_classes:
            raise UserError(
                f"{dataset} has {num_classes} classes, and the {network.role} tells "
                f"{network.card.num_classes} apart; choose the ‹dataset› that it was trained on"
            )


def kind_of(dataset: str | None) -> str | None:
    """What kind of labels a data set has, in words; None for one that is unknown."""
    row = DATASETS.get(dataset or "")
    if row is None:
        return None
    return "several labels for each image" if row.multilabel else "one class for each image"


def answers_to(network: Network, data: ImageData) -> bool:
    """Whether a network answers what the labels of a data set ask."""
    row = DATASETS.get(network.dataset or "")
    alike = row is None or row.multilabel == data.multilabel
    return alike and network.card.num_classes == data.num_classes


def num_classes_of(dataset: str, data_root: str | None) -> int:
    """How many classes a data set has; those of a folder are counted where it lies."""
    row = DATASETS[dataset]
    return row.num_classes or row(data_root=data_root).num_classes


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
