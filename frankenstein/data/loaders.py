"""Loaders that users bring: what gives batches, and which examples of them come again."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed
from torch.utils.data import Dataset, DistributedSampler

from frankenstein.data.batches import Batches
from frankenstein.data.examples import Examples
from frankenstein.errors import UserError
from frankenstein.shapes import Tokens


def check_batches(batches: Iterable[Any]) -> None:
    """Refuse a data set, whose items are single examples: their rows would count as examples.

    Raises:
        UserError: for a torch Dataset.
    """
    if isinstance(batches, Dataset):
        name = type(batches).__name__
        raise UserError(
            f"{name} is a data set, whose items are single examples; give batches of it, such as "
            f"torch.utils.data.DataLoader({name.lower()}, batch_size=64)"
        )


def come_again(loader: Any, index: int, n: int) -> Tensor | None:  # (n,) bool
    """Which of the n examples of a process's batch `index` other processes have, too.

    So that each gets as many, a DistributedSampler, which Lightning puts into a loader, hands out
    examples a second time. None if none comes again, as in one process and of the project's own.

    Raises:
        UserError: on several processes for a loader whose examples cannot be told apart.
    """
    several = distributed.is_available() and distributed.is_initialized()
    if not several or distributed.get_world_size() == 1 or isinstance(loader, Batches):
        return None
    sampler, size = getattr(loader, "sampler", None), getattr(loader, "batch_size", None)
    if not isinstance(sampler, DistributedSampler) or size is None:
        kind = type(loader).__name__
        raise UserError(
            f"on several processes nobody knows which examples of this {kind} come again; give a "
            "DataLoader of a data set by batch_size, whose sampler Lightning replaces, or a "
            "data module of frankenstein"
        )
    place = index * size + torch.arange(n)
    again = place * sampler.num_replicas + sampler.rank >= len(sampler.dataset)  # type: ignore
    return again if again.any() else None


def without(batch: Any, again: Tensor | None) -> Any:
    """A batch, a tensor or a tuple of some, without the examples that come again."""
    if again is None or batch is None:
        return batch
    if isinstance(batch, Tensor | Examples | Tokens):
        return batch[(~again).to(batch.device)]
    return type(batch)(without(part, again) for part in batch)
