"""What an interrupted training goes on from: one file, whole or absent, with a checksum."""

import io
import signal
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import CheckpointIO

from frankenstein.errors import Interrupted
from frankenstein.files import FileError, read_sealed, write_sealed


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
                "is no checkpoint of frankenstein; delete it and run without --resume"
            ) from None

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete it."""
        Path(path).unlink(missing_ok=True)


class Resumable(pl.Callback):
    """Keeps one checkpoint: of every epoch's end, of every five minutes, and of a signal's step.

    Ctrl-C and SIGTERM are noted, the step under way is finished and saved, then `Interrupted` is
    raised. A second signal does not wait.
    """

    def __init__(self, path: str | Path, seconds: float = 300) -> None:
        self.path, self.seconds = Path(path), seconds
        self.signum: int | None = None
        self._saved = time.monotonic()
        self._before: dict[int, Any] = {}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember who listens, for Lightning is about to."""
        self.signum, self._saved = None, time.monotonic()
        before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
        self._before = {signum: who for signum, who in before.items() if who is not signal.SIG_IGN}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen, in place of Lightning."""
        # Its handler broadcasts in the middle of whatever is under way, and several processes hang.
        for signum in self._before:
            signal.signal(signum, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Save if it is time to, or the end has come."""
        # Behind an epoch's last batch the module may have more to do, as resampling features.
        if not trainer.is_last_batch:
            self._perhaps_save(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        """Within a training's validation likewise: its weights and order are those of before."""
        if self._before:
            self._perhaps_save(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        self._save(trainer)
        self._perhaps_save(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop listening."""
        self._deaf()

    def on_exception(self, *_: Any) -> None:
        """Stop listening."""
        self._deaf()

    def _note(self, signum: int, frame: Any) -> None:
        if self.signum is not None:
            raise Interrupted(signum)
        self.signum = signum

    def _deaf(self) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}

    def _perhaps_save(self, trainer: pl.Trainer) -> None:
        late = time.monotonic() - self._saved > self.seconds
        if not _any_process(trainer, late or self.signum is not None):
            return
        self._save(trainer)
        if _any_process(trainer, self.signum is not None):
            raise Interrupted(self.signum or signal.SIGTERM, speaks=trainer.is_global_zero)

    def _save(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self.path)
        self._saved = time.monotonic()


def _any_process(trainer: pl.Trainer, claim: bool) -> bool:
    """Whether any process says so: all of them save, and stop, at the same step."""
    if trainer.world_size == 1:
        return claim
    return trainer.strategy.reduce_boolean_decision(claim, all=False)
