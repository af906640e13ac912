"""What is checked before any work begins."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn
from torchvision.models import get_weight

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData, Preprocessing, preprocessing_of
from frankenstein.errors import UserError
from frankenstein.networks.label_checks import check_labels
from frankenstein.report.progress import progress
from frankenstein.zoo import Card


def at_least(**bounds: tuple[float, float]) -> None:
    """Refuse numbers below their bound: `name=(value, least)`."""
    for name, (value, least) in bounds.items():
        if not value >= least:
            raise UserError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def data_for(
    network: nn.Module,
    dataset: str | None,
    values: Mapping[str, Any],
    eval_batch_size: int = 250,
    cards: Mapping[str, Card] = MappingProxyType({}),  # as `check_labels` takes them
) -> ImageData:
    """A data set, loaded, in the size of image that a network is made for.

    A network that comes from trained weights of torchvision sees what these prescribe.

    Raises:
        UserError: if the network sees images with another number of channels, no data set is named,
            neither by the user nor in the network's file, or the labels do not fit the `cards`.
    """
    if dataset is None:
        raise UserError(
            "the network's file does not say what data it was trained on; choose --dataset"
        )
    channels, _, size = network.input_shape  # type: ignore[misc]
    if DATASETS[dataset].in_channels != channels:
        raise UserError(
            f"{dataset} has images of {DATASETS[dataset].in_channels} channels, and the network "
            f"takes {channels}; choose --dataset among "
            + ", ".join(name for name, row in DATASETS.items() if row.in_channels == channels)
        )
    check_labels(dataset, values["data_root"], cards)
    data = DATASETS[dataset](
        image_size=size,
        batch_size=values["batch_size"],
        order_seed=values.get("gradient_noise", values.get("seed", 0)),
        data_root=values["data_root"],
        eval_batch_size=eval_batch_size,
        preprocessing=_preprocessing(network),
    )
    data.setup()
    return data


def check_data(data: ImageData, quiet: bool) -> None:
    """Read files of images through before a training, with a bar if that has not been done before.

    Raises:
        DataError: if some cannot be read, or there is no image of a class.
    """
    data.check(lambda parts, name: progress(parts, name, quiet))


def _preprocessing(network: nn.Module) -> Preprocessing | None:
    weights = getattr(network, "weights", None)  # their name, such as ResNet50_Weights.DEFAULT
    return preprocessing_of(get_weight(weights).transforms()) if weights else None
