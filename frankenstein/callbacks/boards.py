"""Pictures into TensorBoard, where a run has one, before the first step and every so many steps."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.rank_zero import rank_zero_only
from torch.utils.tensorboard import SummaryWriter

from frankenstein.report import weight_matrix
from frankenstein.report.board import log_png
from frankenstein.report.style import png


def writers(trainer: pl.Trainer) -> list[SummaryWriter]:
    """The TensorBoard writers of a trainer's loggers."""
    return [log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)]


def add_figure(trainer: pl.Trainer, tag: str, figure: Figure) -> None:
    """Show a figure at the trainer's step in every TensorBoard it writes."""
    image = png(figure, dots_per_inch=100)
    for writer in writers(trainer):
        log_png(writer, tag, image, trainer.global_step)


class Every(pl.Callback):
    """Calls `do(trainer, module)`, on the first process, at step 0 and every `steps` steps.

    And `at_epoch(trainer, epochs)` behind so many epochs, 0 being the start, if it is given.
    """

    def __init__(
        self,
        steps: int,
        do: Callable[[pl.Trainer, Any], object],
        at_epoch: Callable[[pl.Trainer, int], object] | None = None,
    ) -> None:
        self.steps = steps
        self.do = do
        self.at_epoch = at_epoch

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The state that training starts from."""
        if trainer.global_step == 0:
            self.do(trainer, pl_module)
            if self.at_epoch is not None:
                self.at_epoch(trainer, 0)

    @rank_zero_only
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The state behind an epoch."""
        if self.at_epoch is not None:
            self.at_epoch(trainer, trainer.current_epoch + 1)

    @rank_zero_only
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        """A state on the way."""
        if trainer.global_step % self.steps == 0:
            self.do(trainer, pl_module)


@torch.no_grad()
def draw_stitch(trainer: pl.Trainer, module: Any) -> None:
    """The stitch's matrix as it is now; TensorBoard's slider plays the pictures as a film."""
    weight = module.stitch.affine_map()[0].detach().cpu()
    add_figure(trainer, "stitch/weight", weight_matrix(weight, f"step {trainer.global_step}"))
