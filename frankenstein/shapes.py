"""The flattenings, by name: how a batch of representations becomes the rows of a matrix."""

from collections.abc import Callable, Mapping

from torch import Tensor

from frankenstein.errors import UserError


class ShapeError(UserError):
    """Representations whose shapes do not fit together; the message gives both."""


def per_sample(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N, D)
    """One row per example, one column per unit and place.

    >>> import torch
    >>> per_sample(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 12])
    """
    _at_least_two(z)
    return z.flatten(1)


def per_location(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N·H·W, C), (N·T, C) or (N, C)
    """One row per example and place, one column per unit: what a 1x1 stitch sees.

    >>> import torch
    >>> per_location(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([20, 3])
    """
    _at_least_two(z)
    if z.ndim != 4:
        return z.flatten(0, -2)
    if z.is_contiguous():
        # The same rows, lying unit by unit: a copy in long runs is the faster one.
        return z.transpose(0, 1).flatten(1).T
    return z.movedim(1, -1).flatten(0, -2)


def pooled(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N, C)
    """One row per example, one column per unit: the mean over places.

    >>> import torch
    >>> pooled(torch.ones(5, 3, 2, 2)).shape
    torch.Size([5, 3])
    """
    _at_least_two(z)
    if z.ndim == 2:
        return z
    return z.flatten(2).mean(2) if z.ndim == 4 else z.flatten(1, -2).mean(1)


FLATTENINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "per_location": per_location,
    "per_sample": per_sample,
    "pooled": pooled,
}


def num_units(shape: tuple[int, ...]) -> int:
    """Units of a representation of this shape, batch included: channels, else the last axis."""
    return shape[1] if len(shape) == 4 else shape[-1]


def same_examples(x: Tensor, y: Tensor) -> None:
    """Refuse two representations of different examples.

    Raises:
        ShapeError: if x and y hold a different number of rows.
    """
    if len(x) != len(y):
        raise ShapeError(
            f"x and y must hold the same examples, got {len(x)} and {len(y)} rows; "
            "use one loader for both"
        )


def _at_least_two(z: Tensor) -> None:
    if z.ndim < 2:
        raise ShapeError(
            f"a representation has a batch axis and at least one more, got shape {tuple(z.shape)}; "
            "a single example needs unsqueeze(0)"
        )
