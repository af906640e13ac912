"""Held-out examples of a batch that no other process has, too."""

from typing import Any

import pytorch_lightning as pl
from torch.utils._pytree import tree_flatten

from frankenstein.data.loaders import come_again, without


def validation_loaders(trainer: pl.Trainer) -> list[Any]:
    """The validation loaders, whatever they came in."""
    return tree_flatten(trainer.val_dataloaders)[0]


def once(task: pl.LightningModule, batch: Any, index: int) -> Any:
    """A batch of images and labels of the first validation loader, no example a second time.

    Raises:
        UserError: on several processes for a loader whose examples cannot be told apart.
    """
    attached = getattr(task, "_trainer", None)
    if attached is None:
        return batch
    again = come_again(validation_loaders(attached)[0], index, len(batch[1]))
    return without(batch, again)
