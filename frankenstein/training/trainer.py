"""The Trainer of every verb: where it logs, and what it keeps quiet about."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.plugins.environments import LightningEnvironment, SLURMEnvironment
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from frankenstein.callbacks import Resumable, WholeCheckpoints
from frankenstein.errors import Interrupted, UserError
from frankenstein.report import markdown_table
from frankenstein.runs.fields import TrainerFields
from frankenstein.runs.page import write_page
from frankenstein.runs.run import CHECKPOINT, Run


def make_trainer(
    folder: Path, epochs: int, callbacks: Sequence[pl.Callback], hardware: dict[str, Any]
) -> pl.Trainer:
    """A Trainer that logs into a run's folder and keeps a checkpoint there to go on from.

    `hardware` holds the Trainer's own accelerator, devices, strategy and precision.

    Raises:
        UserError: if this machine does not have that hardware.
    """
    # Determinism also fills new memory with NaN, to find who reads it unwritten: 4 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    plugins: list[Any] = [WholeCheckpoints()]
    if SLURMEnvironment.detect():  # else it would save, load and requeue by itself
        plugins.append(SLURMEnvironment(auto_requeue=False))
    try:
        trainer = pl.Trainer(
            **hardware,
            max_epochs=epochs,
            logger=[
                _Curves(folder, name="", version="", default_hp_metric=False),
                CSVLogger(folder, name="", version=""),
            ],
            plugins=plugins,
            default_root_dir=folder,
            # Last, so that what is saved is what the others have seen.
            callbacks=[*callbacks, Resumable(folder / CHECKPOINT)],
            enable_checkpointing=False,
            log_every_n_steps=10,
            num_sanity_val_steps=0,
            deterministic="warn",
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,  # our loaders split over processes without repeating
        )
    except (ValueError, RuntimeError, pl.utilities.exceptions.MisconfigurationException) as error:
        raise UserError(f"the Trainer refuses {hardware}: {error}") from None
    # Lightning would answer SIGTERM by a broadcast in the middle of whatever is under way, and
    # several processes hang.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    return trainer


def bare_trainer(device: torch.device, **settings: Any) -> pl.Trainer:
    """A Trainer on one device that validates, logs and keeps nothing, for work inside a run."""
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        plugins=[LightningEnvironment()],  # a scheduler's would save, load and requeue unasked
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic="warn",
        use_distributed_sampler=False,
        **settings,
    )


def hardware_of(plan: TrainerFields) -> dict[str, Any]:
    """The Trainer's own settings among a plan's fields."""
    return {
        name: getattr(plan, name) for name in ("accelerator", "devices", "strategy", "precision")
    }


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Without Lightning's notes on hardware and on loader workers, which tensors in memory lack."""
    names = "pytorch_lightning", "lightning.pytorch", "lightning_fabric.utilities.distributed"
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Experiment logs directory.*exists.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists.*")
        warnings.filterwarnings("ignore", message=".*log_every_n_steps.*")
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")  # Lightning's own
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


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


class _Curves(TensorBoardLogger):
    """Curves over steps; of what epoch a step is in is none."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """All but the epoch, which Lightning adds."""
        super().log_metrics({k: v for k, v in metrics.items() if k != "epoch"}, step)
