"""What is checked before any work begins."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.errors import UserError


def at_least(**bounds: tuple[float, float]) -> None:
    """Refuse numbers below their bound: `name=(value, least)`."""
    for name, (value, least) in bounds.items():
        if not value >= least:
            raise UserError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def data_for(
    network: nn.Module, dataset: str, values: Mapping[str, Any], eval_batch_size: int = 250
) -> ImageData:
    """A data set, loaded, in the size of image that a network is made for.

    Raises:
        UserError: if the network sees images with another number of channels.
    """
    channels, _, size = network.input_shape  # type: ignore[misc]
    if DATASETS[dataset].in_channels != channels:
        raise UserError(
            f"{dataset} has images of {DATASETS[dataset].in_channels} channels, and the network "
            f"takes {channels}; choose --dataset among "
            + ", ".join(name for name, row in DATASETS.items() if row.in_channels == channels)
        )
    data = DATASETS[dataset](
        image_size=size,
        batch_size=values["batch_size"],
        order_seed=values.get("gradient_noise", values.get("seed", 0)),
        data_root=values["data_root"],
        eval_batch_size=eval_batch_size,
    )
    data.setup()
    return data
