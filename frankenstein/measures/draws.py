"""Draws of examples, and how a measure is taken of what was drawn."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from frankenstein.shapes import ShapeError, as_tensor, same_examples

Draw = tuple[Tensor, Tensor]  # numbers of the examples that x and y are taken from, in this order
ValueOfDraw = Callable[[Tensor, Tensor], Tensor]  # of a Draw: (), or (L, M) for all pairs


def halves(examples: int, count: int, seed: int = 0) -> Iterator[Draw]:
    """Random halves of the examples, the same ones of both sides; the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        half = torch.randperm(examples, generator=generator)[: examples // 2]
        yield half, half


def shuffles(examples: int, count: int, seed: int = 0) -> Iterator[Draw]:
    """All examples, those of y in random order; the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        yield torch.arange(examples), torch.randperm(examples, generator=generator)


def of_examples(
    measure: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,  # (N, ...)
    y: Tensor,  # (N, ...)
) -> ValueOfDraw:
    """Values of any measure of two tensors, which may flatten them: an example keeps its places.

    Raises:
        ShapeError: if x and y hold a different number of examples, or another one than is drawn of.
    """
    x, y = as_tensor(x), as_tensor(y)
    same_examples(x, y)

    def value(i: Tensor, j: Tensor) -> Tensor:
        if max(int(i.max()), int(j.max())) >= len(x):
            raise ShapeError(f"there are {len(x)} examples; tell `certainty` of as many")
        return measure(x[i.to(x.device)], y[j.to(y.device)])

    return value
