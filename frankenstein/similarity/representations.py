"""Representations of the same images in two networks, and how they lie."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from frankenstein.accumulators.moments import Moments
from frankenstein.surgery.layouts import units_first as units_first
from frankenstein.surgery.read import Reader, Wanted, reading

Representation = Callable[[Tensor], Tensor]  # images to what a layer makes of them


@torch.no_grad()
def layers_moments(
    one: nn.Module,
    other: nn.Module,
    layers: Iterable[str],  # that both networks have by the same name
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> dict[str, Moments]:
    """Moments of every layer in the one and in the other, place by place, in one pass."""
    moments = {layer: Moments() for layer in layers}
    readers = Reader(one, moments), Reader(other, moments)
    for images, _ in batches:
        x, y = (reader(images.to(device)) for reader in readers)
        for layer, kept in moments.items():
            kept.update(x[layer], y[layer])
    return moments


def places(z: Tensor) -> tuple[int, ...]:
    """The grid that a representation lies on, as (H, W) or (T,); () for vectors."""
    return z.shape[2:] if z.ndim == 4 else z.shape[1:-1]


def bytes_of_one(network: nn.Module, layers: Wanted | None = None) -> int:
    """What one example's layers take, in float32, from a look at two black images."""
    shape = tuple(network.input_shape)  # type: ignore[arg-type]
    with reading(network, layers) as read:
        return sum(4 * z[0].numel() for z in read(torch.zeros(2, *shape)).values())
