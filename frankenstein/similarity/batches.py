"""The inputs in anyone's batches."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from frankenstein.errors import UserError

_KEYS = ("image", "images", "input", "inputs", "x", "pixel_values", "input_ids")
_BLOCK = 64
_WHOLE = 512  # inputs that are one block by themselves
_ROOM = 2**23  # if they hold no more numbers: 512 images of 3 x 73 x 73


def in_blocks(batches: Iterable[Any], block: int | None = None) -> tuple[int, Iterator[Tensor]]:
    """The size of a block, and the inputs in batches of nearly the same size that hold whole ones.

    Only the last may end within a block, so that blocks are the same whatever the batch size.
    Unless a size is given, up to 512 inputs, if they are small, are one block; more are blocks of
    64.
    """
    inputs = map(input_of, batches)
    if block is not None:
        return block, _filled(inputs, block)
    first: list[Tensor] = []
    for new in inputs:
        first.append(new)
        if sum(map(len, first)) > _WHOLE or sum(z.numel() for z in first) > _ROOM:
            return _BLOCK, _filled(chain(first, inputs), _BLOCK)
    whole = max(4, sum(map(len, first)))
    return whole, _filled(iter(first), whole)


def _filled(inputs: Iterator[Tensor], block: int) -> Iterator[Tensor]:
    held: list[Tensor] = []
    size = 0
    for new in inputs:
        size = size or block * max(1, round(len(new) / block))
        held.append(new)
        if (count := sum(map(len, held))) >= size:
            whole = torch.cat(held) if len(held) > 1 else new
            ends = range(size, count + 1, size)
            yield from (whole[end - size : end] for end in ends)
            held = [whole[ends[-1] :]] if ends[-1] < count else []
    if held:
        yield torch.cat(held)


def input_of(batch: Any) -> Tensor:
    """The input in a batch: a tensor, the first of a tuple, or one in a dict by its usual name.

    Raises:
        UserError: if there is none.

    >>> input_of({"image": torch.zeros(3, 1), "label": torch.zeros(3)}).shape
    torch.Size([3, 1])
    """
    given = batch
    if isinstance(batch, dict):
        given = next((batch[key] for key in _KEYS if key in batch), None)
        if given is None:
            raise UserError(
                f"a batch is a dict with {', '.join(map(repr, _KEYS))}, got {list(batch)}; "
                "give the inputs as tensors"
            )
    elif isinstance(batch, list | tuple) and batch:
        given = batch[0]
    if not isinstance(given, Tensor):
        raise UserError(
            "a batch is a tensor, a tuple that begins with one, or a dict, "
            f"got {type(given).__name__}"
        )
    return given
