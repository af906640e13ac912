"""Images of 0 to 255 in a user's own batches: each network sees them in its own way."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.images import recoloured_numbers
from frankenstein.data.preprocessing import Preprocessing
from frankenstein.data.shared import Look
from frankenstein.errors import DataError


def is_raw(inputs: Any) -> bool:
    """Whether they are images (N, C, H, W) of 0 to 255, which each network sees in its own way."""
    return isinstance(inputs, Tensor) and inputs.dtype == torch.uint8 and inputs.ndim == 4


def eyes_on_raw(shape: Sequence[int], preprocessing: Preprocessing | None) -> Preprocessing:
    """What raw images become for a network that takes a shape (channels, height, width).

    Raises:
        DataError: if nobody says how they are normalised.
    """
    channels, *_, size = shape
    if preprocessing is None or not preprocessing.mean:
        raise DataError(
            "images are whole numbers of 0 to 255, and nobody says how a network sees them: say "
            "‹normalize›, or give floating-point images as the network takes them"
        )
    mean, std = (
        recoloured_numbers(one, channels) for one in (preprocessing.mean, preprocessing.std)
    )
    return Preprocessing(size, size, mean, std, preprocessing.resampling)


def view_of_raw(
    images: Tensor, shape: Sequence[int], preprocessing: Preprocessing | None
) -> nn.Module:
    """From such raw images to what a network takes.

    Raises:
        DataError: as `eyes_on_raw`, or if they are no squares.
    """
    height, width = images.shape[2:]
    if height != width:
        raise DataError(
            f"images are {height} x {width} pixels, and of whole numbers of 0 to 255 networks see "
            "squares; crop them in the data set"
        )
    return Look(eyes_on_raw(shape, preprocessing), images.shape[1], None, resizes=True)
