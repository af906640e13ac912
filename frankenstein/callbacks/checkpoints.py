"""What an interrupted training goes on from, and draws that a pause does not change."""

import io
import signal
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO
from pytorch_lightning.trainer.states import TrainerFn

from frankenstein.data.seeded import seeded
from frankenstein.errors import Interrupted
from frankenstein.files import FileError, read_sealed, write_sealed
from frankenstein.signals import Noted

_INSIDE = 6  # keeps these draws apart from those of other purposes with the same seed


class WholeCheckpoints(CheckpointIO):
    """Checkpoints that are whole or absent, that know their checksum and cannot execute code.

    Lightning's own writer goes through a temporary directory: if that lies on another file system,
    a kill leaves half a file under the final name.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write it beside its target, synced, then renamed."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_sealed(path, buffer.getvalue())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read it; whatever Lightning or the environment says, only tensors and plain values.

        Raises:
            FileError: if it is absent, damaged, or holds anything else.
        """
        content = read_sealed(path)
        try:
            return torch.load(io.BytesIO(content), map_location, weights_only=True)
        except Exception as error:  # a pickle can fail in any way
            raise FileError(
                f"{path} holds more than tensors and plain values ({type(error).__name__}): this "
                "is no checkpoint of frankenstein; delete it and run without ‹resume›"
            ) from None

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete it."""
        Path(path).unlink(missing_ok=True)


class Resumable(pl.Callback):
    """Keeps one checkpoint: of every epoch's end, of every five minutes, and of a signal's step.

    A signal that is noted ends the training: the step under way is finished and saved, then
    `Interrupted` is raised.
    """

    def __init__(self, path: str | Path, seconds: float = 300) -> None:
        self.path, self.seconds = Path(path), seconds
        self.noted = Noted()  # whoever fits listens
        self._saved = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop if a signal came while the training was set up."""
        self._saved = time.monotonic()
        self._perhaps_stop(trainer)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save if it is time to, or the end has come."""
        # Behind an epoch's last batch the module may have more to do, as resampling features.
        if not trainer.is_last_batch:
            self._perhaps_save(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Within a training's validation likewise: its weights and order are those of before."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._perhaps_save(trainer)
        else:
            self._perhaps_stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        self._save(trainer)
        self._perhaps_save(trainer)

    def _perhaps_save(self, trainer: pl.Trainer) -> None:
        late = time.monotonic() - self._saved > self.seconds
        if _any_process(trainer, late or self.noted.signum is not None):
            self._save(trainer)
            self._perhaps_stop(trainer)

    def _perhaps_stop(self, trainer: pl.Trainer) -> None:
        signum = self.noted.signum
        if _any_process(trainer, signum is not None):
            raise Interrupted(signum or signal.SIGTERM, speaks=trainer.is_global_zero)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()


def _any_process(trainer: pl.Trainer, claim: bool) -> bool:
    """Whether any process says so: all of them save, and stop, at the same step."""
    if trainer.world_size == 1:
        return claim
    return trainer.strategy.reduce_boolean_decision(claim, all=False)


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
