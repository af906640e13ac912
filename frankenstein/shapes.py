"""The flattenings, by name: how a batch of representations becomes the rows of a matrix.

All of them take NumPy arrays and nested lists, too, as `as_tensor` says.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frankenstein.errors import UserError

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}, the same examples


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
    z = _at_least_two(z)
    return z.flatten(1)


def per_location(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N·H·W, C), (N·T, C) or (N, C)
    """One row per example and place, one column per unit: what a 1x1 stitch sees.

    >>> import torch
    >>> per_location(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([20, 3])
    """
    z = _at_least_two(z)
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
    z = _at_least_two(z)
    if z.ndim == 2:
        return z
    return z.flatten(2).mean(2) if z.ndim == 4 else z.flatten(1, -2).mean(1)


FLATTENINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "per_location": per_location,
    "per_sample": per_sample,
    "pooled": pooled,
}


def as_tensor(z: Any) -> Tensor:
    """A tensor as it is; an array or a nested list of numbers as a tensor with all of its digits.

    Arrays of float16, float32 and float64 keep their precision, all others become float64. True
    and False are 1 and 0.

    Raises:
        ShapeError: for what holds no numbers, or rows of different lengths.

    >>> as_tensor([[1, 2.5], [3, 4]]).dtype
    torch.float64
    """
    if isinstance(z, Tensor):
        if z.is_complex():
            raise ShapeError(f"a representation holds real numbers, got {z.dtype}")
        return z.float() if z.dtype == torch.bool else z
    try:
        array = np.asarray(z)
        if array.dtype not in (np.float16, np.float32, np.float64):
            if array.dtype.kind not in "fiub":
                raise TypeError
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise ShapeError(
            f"a representation is a tensor or an array of numbers, got {_said(z)}"
        ) from None
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def _said(z: Any) -> str:
    kind = type(z).__name__
    if isinstance(z, list | tuple):
        return f"a {kind} whose rows are not numbers of one length"
    return f"{kind} of {z.dtype}" if isinstance(z, np.ndarray) else kind


def num_units(shape: tuple[int, ...]) -> int:
    """Units of a representation of this shape, batch included: channels, else the last axis."""
    return shape[1] if len(shape) == 4 else shape[-1]


def layers_of(given: Any) -> dict[str, Tensor]:  # {layer: (N, ...)}
    """Representations by layer, each as a tensor.

    Raises:
        ShapeError: for anything that is no mapping from layers.
    """
    if not isinstance(given, Mapping) or not given:
        raise ShapeError(f"each side is {{layer: representation}}, got {type(given).__name__}")
    return {name: as_tensor(z) for name, z in given.items()}


def same_examples(x: Tensor, y: Tensor) -> None:
    """Refuse two representations of different examples.

    Raises:
        ShapeError: if x and y hold a different number of rows.
    """
    if len(x) != len(y):
        raise different_examples(len(x), len(y))


def different_examples(n: int, others: int) -> ShapeError:
    """What is wrong if two representations have so many rows."""
    return ShapeError(
        f"x and y must hold the same examples, got {n} and {others} rows; use one loader for both"
    )


def rows_of_both(
    flatten: Callable[[Tensor], Tensor],
    x: Tensor,  # (N, ...)
    y: Tensor,  # (N, ...)
) -> tuple[Tensor, Tensor]:  # (K, D), (K, E)
    """Two representations of the same examples as rows.

    Raises:
        ShapeError: if they hold different examples, or lie on grids of other sizes, each place of
            which is a row.
    """
    rows = flatten(x), flatten(y)
    if len(x) == len(y) and len(rows[0]) != len(rows[1]):
        each, others = (len(one) // len(x) for one in rows)
        raise ShapeError(
            f"an example has {each} places in one and {others} in the other, and each is a row: "
            "another flattening, such as pooled, compares them"
        )
    same_examples(*rows)
    return rows


def _at_least_two(z: Any) -> Tensor:
    z = as_tensor(z)
    if z.ndim < 2:
        raise ShapeError(
            f"a representation has a batch axis and at least one more, got shape {tuple(z.shape)}; "
            "a single example needs z[None], a single unit z[:, None]"
        )
    return z
