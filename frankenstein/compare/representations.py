"""Two representations of the same images: the moments from which every measure follows."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from frankenstein.moments import Moments
from frankenstein.shapes import FLATTENINGS
from frankenstein.surgery.layouts import is_channels_last

Representation = Callable[[Tensor], Tensor]  # images to what a layer makes of them


@torch.no_grad()
def layer_moments(
    one: Representation,
    other: Representation,
    batches: Iterable[tuple[Tensor, Tensor]],
    flattening: str | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Moments, str]:
    """Moments of two representations, one pass, and the name of the flattening (see `shapes`).

    Unless one is asked for, maps and tokens count one row per place where both lie on the same
    grid, and are pooled over places otherwise.

    Raises:
        KeyError: for an unknown flattening.
        ShapeError: if the two have different numbers of rows.
    """
    moments = Moments(FLATTENINGS[flattening or "per_location"])
    for images, _ in batches:
        images = images.to(device)
        x, y = (units_first(network(images)) for network in (one, other))
        if flattening is None:
            flattening = "per_location" if places(x) == places(y) else "pooled"
            moments = Moments(FLATTENINGS[flattening])
        moments.update(x, y)
    return moments, flattening or "per_location"


def units_first(z: Tensor) -> Tensor:
    """Maps whose channels come last with their channels first; all else as it is."""
    return z.movedim(-1, 1) if is_channels_last(z.shape[1:]) else z


def places(z: Tensor) -> tuple[int, ...]:
    """The grid that a representation lies on, as (H, W) or (T,); () for vectors."""
    return z.shape[2:] if z.ndim == 4 else z.shape[1:-1]
