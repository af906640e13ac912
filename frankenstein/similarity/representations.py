"""Representations of the same images in two networks, and how they lie."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from frankenstein.surgery.layouts import units_first as units_first
from frankenstein.surgery.read import Wanted, reading

Representation = Callable[[Tensor], Tensor]  # images to what a layer makes of them


def places(z: Tensor) -> tuple[int, ...]:
    """The grid that a representation lies on, as (H, W) or (T,); () for vectors."""
    return z.shape[2:] if z.ndim == 4 else z.shape[1:-1]


def bytes_of_one(network: nn.Module, layers: Wanted | None = None) -> int:
    """What one example's layers take, in float32, from a look at two black images."""
    shape = tuple(network.input_shape)  # type: ignore[arg-type]
    with reading(network, layers) as read:
        return sum(4 * z[0].numel() for z in read(torch.zeros(2, *shape)).values())
