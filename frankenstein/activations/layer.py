"""One layer that is already there: its shape, and how rows of it are read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frankenstein.errors import FileError
from frankenstein.shapes import ShapeError, as_tensor

HELD = 2**30  # bytes of a layer that is taken into memory where no block of rows can be read


@dataclass(frozen=True)
class Layer:
    """Representations of N examples, on a disk or in memory."""

    shape: tuple[int, ...]  # (N, ...)
    read: Callable[[Tensor], Tensor]  # numbers of rows, (n,) int64, to these, (n, ...)


def held(z: Tensor) -> Layer:
    """A tensor in memory."""
    return Layer(tuple(z.shape), lambda rows: floats(z[rows]))


def mapped(
    path: Path,
    dtype: np.dtype,
    shape: tuple[int, ...],
    offset: int,  # bytes of the file before it
    bfloat16: bool = False,  # True: the numbers, read as whole ones of 16 bits, are such
) -> Layer:
    """An array that lies in a file row by row."""

    def read(rows: Tensor) -> Tensor:
        # A new map for every block: what was read of an old one stays in memory until it is gone.
        try:
            block = np.memmap(path, dtype, "r", offset, shape)[rows.numpy()]
        except (OSError, ValueError) as error:
            raise FileError(f"{path} has changed while it was read ({error})") from None
        return floats(torch.from_numpy(block).view(torch.bfloat16)) if bfloat16 else of_numpy(block)

    return Layer(shape, read)


def no_numbers(dtype: np.dtype) -> str | None:
    """Why an array of this type is no representation; None if it is one.

    >>> no_numbers(np.dtype("f4")), no_numbers(np.dtype("c8"))
    (None, 'holds complex64, not real numbers')
    """
    if dtype.hasobject:
        return "holds objects of Python, which only unpickling would make"
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        return f"holds {dtype}, not real numbers" + (" of 64 bits" if dtype.kind == "f" else "")
    return None


def of_numpy(array: np.ndarray) -> Tensor:
    """An array as a tensor, in the precision of `floats`."""
    return floats(as_tensor(array.astype(array.dtype.newbyteorder("="), copy=False)))


def floats(z: Tensor) -> Tensor:
    """Numbers as float32 or float64, none of which is rounded up to 2⁵³."""
    if z.dtype in (torch.float32, torch.float64):
        return z
    return z.to(torch.float32 if z.is_floating_point() else torch.float64)


def in_memory(array: Any) -> Layer:
    """A tensor or an array that is there in Python.

    Raises:
        ShapeError: if it holds no real numbers, or has no axis of examples.
    """
    z = as_tensor(array).detach().cpu()
    if z.ndim < 1:
        raise ShapeError("a layer is (N, ...), a row for each example, got a single number")
    return held(z)
