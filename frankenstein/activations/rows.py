"""Rows that belong to the inputs of a pass: activations read beside a network, or other ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from frankenstein.activations.saved import Activations
from frankenstein.errors import UserError


@contextmanager
def reading_rows(
    activations: Activations,
    order: Tensor,  # numbers of rows, one for each example of the pass
    device: torch.device | str = "cpu",  # where they are wanted
) -> Iterator[Callable[..., dict[str, Any]]]:
    """Inside, a function that gives, for each batch of inputs, as many rows: the next in order.

    It is called as `frankenstein.surgery.read.Read` is.

    Raises:
        UserError: if there are more inputs than rows, or, at the end, fewer.
    """
    done = 0

    def read(inputs: Tensor, fold: Callable[[str, Tensor], Any] | None = None) -> dict[str, Any]:
        nonlocal done
        rows = order[done : done + len(inputs)]
        done += len(inputs)
        if done > len(order):
            raise _unequal(activations, f"{len(order)} examples, and the data have more")
        layers = {name: z.to(device) for name, z in activations.read(rows).items()}
        return {name: z if fold is None else fold(name, z) for name, z in layers.items()}

    yield read
    if done < len(order):
        raise _unequal(activations, f"{len(order)} examples, and the data have {done}")


def _unequal(activations: Activations, told: str) -> UserError:
    return UserError(
        f"{activations.source} holds {told}; its rows must be the examples of the data, in the "
        "order of the data"
    )
