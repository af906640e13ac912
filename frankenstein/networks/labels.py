"""Do networks answer what the labels of a data set ask?"""

from collections.abc import Sequence

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.networks.network import Network


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
