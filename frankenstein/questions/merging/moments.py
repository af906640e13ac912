"""Moments of the layers of two networks, unit by unit."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from frankenstein.accumulators.moments import Moments
from frankenstein.surgery.read import Reader


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
