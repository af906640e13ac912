"""One progress bar for a whole training, with the time left."""

from typing import Any

import pytorch_lightning as pl

from frankenstein.report.progress import progress_bar


class TrainingBar(pl.Callback):
    """Steps done of all steps, with the last epoch's numbers beside the bar."""

    def __init__(self, name: str = "training") -> None:
        self.name = name
        self.bar = progress_bar()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar on the first process."""
        if trainer.is_global_zero:
            self.bar.start()
            self.task = self.bar.add_task(
                self.name,
                total=int(trainer.estimated_stepping_batches),
                completed=trainer.global_step,
                numbers="",
            )

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """One step further."""
        if trainer.is_global_zero:
            self.bar.update(self.task, completed=trainer.global_step)

    def on_validation_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Show the numbers of this epoch."""
        if trainer.is_global_zero and self.bar.tasks:
            known = trainer.callback_metrics
            shown = {"loss": "train/loss", "held-out": "val/accuracy"}
            numbers = " ".join(
                f"{word} {known[key].item():.3f}" for word, key in shown.items() if key in known
            )
            self.bar.update(self.task, numbers=numbers)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the full bar standing."""
        self.bar.stop()

    def on_exception(self, *_: Any) -> None:
        """Give the terminal back."""
        self.bar.stop()
