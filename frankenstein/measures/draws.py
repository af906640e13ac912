"""Draws of examples, and how a measure is taken of what was drawn."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from frankenstein.shapes import ShapeError, as_tensor, same_examples

T = TypeVar("T")
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


def of_matrices(
    make: Callable[[Tensor], Tensor],  # a layer's rows to what is between all examples: (N, N)
    read: Callable[[Tensor], T | None],  # what is compared of that of some; None if there is none
    between: Callable[[T, T], Tensor],
) -> Callable[..., ValueOfDraw]:
    """A function of all layers' rows, one list a side: values of all pairs of layers.

    Matrices are made once; a draw takes rows and columns out of them, reads each once, and compares
    every pair.
    """

    def resampled(
        xs: Iterable[Tensor], ys: Iterable[Tensor], inputs: Tensor | None = None
    ) -> ValueOfDraw:
        sides = [[make(rows) for rows in side] for side in (xs, ys)]

        def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
            x, y = (
                [read(z[index.to(z.device)][:, index.to(z.device)]) for z in side]
                for index, side in zip((i, j), sides, strict=True)
            )
            nothing = sides[0][0].new_full((), torch.nan)
            return torch.stack(
                [
                    torch.stack([nothing if a is None or b is None else between(a, b) for b in y])
                    for a in x
                ]
            )

        return value

    return resampled
