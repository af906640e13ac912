"""Image data for a Trainer: batches are augmented and prepared where they are trained with."""

from typing import Any

import pytorch_lightning as pl
from torch import Tensor

from frankenstein.data.batches import Batches
from frankenstein.data.images import ImageData
from frankenstein.data.seeded import seeded

_AUGMENTATION = 1  # keeps these draws apart from those of other purposes with the same seed


class DataModule(pl.LightningDataModule):
    """Image data as Lightning takes it.

    trainer.fit(task, DataModule(data))
    """

    def __init__(self, data: ImageData) -> None:
        super().__init__()
        self.data = data
        self.train_batches = data.train_batches  # for tasks that solve before they train

    def prepare_data(self) -> None:
        """Download what is absent."""
        self.data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Load the data, once, whatever the number of stages."""
        self.data.setup()

    def train_dataloader(self) -> Batches:
        """Shuffled whole batches, still uint8."""
        return self.data.shuffled_batches()

    def val_dataloader(self) -> Batches:
        """The held-out part, still uint8."""
        batches = self.data.val_batches()
        batches.transform = None
        return batches

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment while training, then prepare, on the device where the batch has arrived.

        The draws depend on the step only, so that a resumed run makes the same ones.
        """
        images, labels = batch
        trainer, data = self._trainer, self.data
        if trainer.training:
            key = (data.order_seed, _AUGMENTATION, trainer.global_step, trainer.global_rank)
            images = data.augment(images, seeded(*key))
        return self._prepared(images), labels

    def _prepared(self, images: Tensor) -> Tensor:
        # Lightning has set the precision of inputs before, when these were still integers.
        return self._trainer.precision_plugin.convert_input(self.data.prepare(images))

    @property
    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None  # Lightning sets it before it calls anything here
        return self.trainer
