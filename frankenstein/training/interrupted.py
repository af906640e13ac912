"""What an interrupted training leaves to read: how far it came and its last numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl

from frankenstein.errors import Interrupted
from frankenstein.report import markdown_table
from frankenstein.runs.page import write_page
from frankenstein.runs.run import Run


@contextmanager
def telling_how_far(run: Run, trainer: pl.Trainer) -> Iterator[None]:
    """Write `report.md` into the unfinished run's folder if a signal ends the training inside."""
    try:
        yield
    except Interrupted as error:
        if run.leads:
            run.unfinished = True
            steps = f"step {trainer.global_step} of {int(trainer.estimated_stepping_batches)}"
            numbers = [[key, value.item()] for key, value in trainer.callback_metrics.items()]
            write_page(
                run,
                f"{run.name} (unfinished)",
                [
                    f"{error} ended the training in epoch {trainer.current_epoch + 1} of "
                    f"{trainer.max_epochs}, at {steps}. Resumed, it goes on from "
                    "there, and ends with the same weights as if nothing had happened.",
                    markdown_table(numbers, ["last known", "value"]),
                ],
            )
        raise
