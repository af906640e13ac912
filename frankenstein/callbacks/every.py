"""Something done before the first step of a training and every so many steps."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from frankenstein.callbacks.boards import add_figure
from frankenstein.report import weight_matrix


class Every(pl.Callback):
    """Calls `do(trainer, module)`, on the first process, at step 0 and every `steps` steps."""

    def __init__(self, steps: int, do: Callable[[pl.Trainer, Any], object]) -> None:
        self.steps = steps
        self.do = do

    @rank_zero_only
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The state that training starts from."""
        if trainer.global_step == 0:
            self.do(trainer, pl_module)

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
