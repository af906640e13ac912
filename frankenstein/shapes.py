"""The flattenings, by name: how a batch of representations becomes the rows of a matrix.

All of them take NumPy arrays and nested lists, too, as `as_tensor` says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frankenstein.errors import UserError

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}, the same examples; `Tokens` stand among them


class ShapeError(UserError):
    """Representations whose shapes do not fit together; the message gives both."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A representation of sentences of several lengths: all flattenings leave out what is padding.

    It stands wherever a representation does: it has a length, and rows are chosen as of a tensor.
    Make it by `tokens_of`, which checks it.
    """

    values: Tensor  # (N, T, C)
    there: Tensor  # (N, T) bool: which tokens are no padding

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Any) -> "Tokens":
        return Tokens(self.values[rows], self.there[rows])

    @property
    def shape(self) -> torch.Size:
        """Padding included."""
        return self.values.shape

    @property
    def ndim(self) -> int:
        """Always 3."""
        return self.values.ndim

    @property
    def dtype(self) -> torch.dtype:
        """Of the numbers."""
        return self.values.dtype

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return self.values.device

    def float(self) -> "Tokens":
        """In single precision."""
        return Tokens(self.values.float(), self.there)

    def cpu(self) -> "Tokens":
        """On the CPU."""
        return Tokens(self.values.cpu(), self.there.cpu())


def values_of(z: Any) -> Tensor:
    """The tensor of a representation, padding included."""
    return z.values if isinstance(z, Tokens) else z


def has_tokens(z: Tensor, there: Tensor) -> bool:
    """Whether a representation is (N, T, C) for the tokens of this mask, or (N, C)."""
    return z.ndim == 2 or (z.ndim == 3 and z.shape[:2] == there.shape)


def tokens_of(
    z: Tensor,  # (N, T, C), or (N, C) of what has no tokens
    there: Tensor,  # (N, T) bool, as `data.padding.there_of` gives it
    called: str = "a representation",
) -> Any:
    """A representation with its mask; what has no tokens, a vector an example, as it is.

    Raises:
        ShapeError: if its second axis is not that of the tokens.
    """
    if not has_tokens(z, there):
        raise ShapeError(
            f"{called} of padded text is (sentences, tokens, units) or (sentences, units), got "
            f"{tuple(z.shape)} for {there.shape[0]} sentences of up to {there.shape[1]} tokens: "
            "nobody knows what of it is padding; take another layer"
        )
    return z if z.ndim == 2 else Tokens(z, there)


def per_sample(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N, D)
    """One row per example, one column per unit and place.

    >>> import torch
    >>> per_sample(torch.zeros(5, 3, 2, 2)).shape
    torch.Size([5, 12])

    Raises:
        ShapeError: of sentences of several lengths, whose places are not the same ones.
    """
    if isinstance(z, Tokens):
        if not bool(z.there.all()):
            raise ShapeError(
                "sentences of several lengths have no row of all their tokens (per_sample); take "
                "pooled or last"
            )
        z = z.values
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
    if isinstance(z, Tokens):
        return z.values[z.there]
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
    """One row per example, one column per unit: the mean over places, or tokens that are there.

    >>> import torch
    >>> pooled(torch.ones(5, 3, 2, 2)).shape
    torch.Size([5, 3])
    """
    if isinstance(z, Tokens):
        # Padding is left out and not times 0: it may hold anything, NaN included.
        values = z.values.where(z.there[:, :, None], 0)
        return values.sum(1) / z.there.sum(1, keepdim=True)
    z = _at_least_two(z)
    if z.ndim == 2:
        return z
    return z.flatten(2).mean(2) if z.ndim == 4 else z.flatten(1, -2).mean(1)


def last(
    z: Tensor,  # (N, T, C) or (N, C)
) -> Tensor:  # (N, C)
    """One row per example, one column per unit: its last token, of those that are there.

    >>> import torch
    >>> last(torch.arange(6.0).view(1, 3, 2))
    tensor([[4., 5.]])

    Raises:
        ShapeError: of maps.
    """
    if isinstance(z, Tokens):
        places = torch.arange(z.there.shape[1], device=z.there.device)
        end = (z.there * places).amax(1)
        return z.values[torch.arange(len(z), device=z.there.device), end]
    z = _at_least_two(z)
    if z.ndim > 3:
        raise ShapeError(f"a map has no last token, got shape {tuple(z.shape)}; take pooled")
    return z if z.ndim == 2 else z[:, -1]


FLATTENINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "per_location": per_location,
    "per_sample": per_sample,
    "pooled": pooled,
    "last": last,
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
    if isinstance(z, Tokens):
        return z  # type: ignore[return-value]
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


def where_float64_is(z: Any) -> Tensor:
    """A representation where float64 is: on its device, or of one that has none (mps) on the CPU.

    Gradients flow back to where it was.
    """
    z = as_tensor(z)
    return z.cpu() if has_no_float64(z.device) else z


def has_no_float64(device: torch.device) -> bool:
    """Whether a device cannot hold float64."""
    return device.type == "mps"


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
    x, y = where_float64_is(x), where_float64_is(y)
    rows = flatten(x), flatten(y)
    if len(rows[0]) != len(x):
        same_tokens(x, y)
    if len(x) == len(y) and len(rows[0]) != len(rows[1]):
        each, others = (len(one) // len(x) for one in rows)
        raise ShapeError(
            f"an example has {each} places in one and {others} in the other, and each is a row: "
            "another flattening, such as pooled, compares them"
        )
    same_examples(*rows)
    return rows


def same_tokens(x: Any, y: Any) -> None:
    """Refuse two representations whose sentences are cut into other tokens, each of them a row.

    One may be padded further than the other.

    Raises:
        ShapeError: if other places are there.
    """
    if not (isinstance(x, Tokens) and isinstance(y, Tokens)):
        return
    shorter, longer = sorted((x.there, y.there), key=lambda there: there.shape[1])
    width = shorter.shape[1]
    if not torch.equal(shorter, longer[:, :width]) or bool(longer[:, width:].any()):
        raise ShapeError(
            "the two cut the same sentences into other numbers of tokens, and each token is a row "
            "(per_location); take pooled or last"
        )


def _at_least_two(z: Any) -> Tensor:
    z = as_tensor(z)
    if z.ndim < 2:
        raise ShapeError(
            f"a representation has a batch axis and at least one more, got shape {tuple(z.shape)}; "
            "a single example needs z[None], a single unit z[:, None]"
        )
    return z
