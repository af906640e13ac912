"""Randomness inside a network, such as dropout's, from the step alone."""

from typing import Any

import pytorch_lightning as pl
import torch

from frankenstein.data.seeded import seeded

_INSIDE = 6  # keeps these draws apart from those of other purposes with the same seed


class SeededSteps(pl.Callback):
    """Seeds torch before every training step from (seed, step, process).

    So neither validation nor a pause changes what dropout draws. (Batch order and augmentation
    have generators of their own.)
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        """Seed."""
        key = (self.seed, _INSIDE, trainer.global_step, trainer.global_rank)
        torch.manual_seed(seeded(*key).initial_seed())
