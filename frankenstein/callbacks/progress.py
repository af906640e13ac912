"""One progress bar for a whole training, with the time left."""

from typing import Any

import pytorch_lightning as pl
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_ROOM = 36  # for what is done and its numbers: the rest fits into 80 columns with these


def progress_bar() -> Progress:
    """The bar of every long work: what, how far, and the time left."""
    return Progress(
        _What("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        refresh_per_second=4,  # drawing takes 2 ms, which training on a CPU waits for
    )


class _What(TextColumn):
    """What is done; the middle is left out where it is long, for both ends tell more."""

    def render(self, task: Task) -> Text:
        text, room = task.description, max(9, _ROOM - len(task.fields["numbers"]))
        half = room // 2
        return Text(text if len(text) <= room else f"{text[:half]}…{text[half + 1 - room :]}")


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
        if trainer.is_global_zero and self.bar.live.is_started:
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
