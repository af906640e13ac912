"""The further processes of a run on several devices: they start, and end, together with the first.

Lightning would start them within `fit`. There the first process waits for them in C++ and hears no
signal, and a process that a signal ends has the first one killed, which can then clean up nothing.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.strategies.launchers.subprocess_script import _launch_process_observer
from pytorch_lightning.strategies.launchers import _SubprocessScriptLauncher

from frankenstein.callbacks import Resumable
from frankenstein.errors import Interrupted, UserError
from frankenstein.signals import SIGNALS, Noted, signals_held

_MEETING = "FRANKENSTEIN_MEETING"  # variables that tell further processes: where to meet,
_FIRST = "FRANKENSTEIN_FIRST"  # and the number of the first
_PATIENCE = 5  # seconds that a process has to end by itself, as Lightning's observer gives


@contextmanager
def all_processes(trainer: pl.Trainer) -> Iterator[None]:
    """Run the block once all processes are here; in it they note signals, and stop at one step.

    Before, a signal to any of them ends all. If the block fails, none is left.

    Raises:
        UserError: if a process ends before it is here.
        Interrupted: if a signal came before, or too late for a step.
    """
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    (noted,) = (one.noted for one in callbacks if isinstance(one, Resumable))
    with _further_processes(trainer.strategy.launcher), noted.listening():
        if meeting := os.environ.get(_MEETING):  # this is one of them
            Path(meeting, os.environ["LOCAL_RANK"]).touch()
        yield


@contextmanager
def _further_processes(launcher: Any) -> Iterator[None]:
    if first := os.environ.get(_FIRST):  # this is one of them
        with _ending_with(int(first)):
            yield
        return
    if not isinstance(launcher, _SubprocessScriptLauncher) or (
        launcher.cluster_environment.creates_processes_externally
    ):
        yield
        return
    try:
        _start(launcher)
        # If one of them dies, the others may wait for it for ever: this kills them, and us.
        _launch_process_observer(launcher.procs)
        yield
    except BaseException as error:
        killed = isinstance(error, Exception) and _killed(launcher.procs)
        _end(launcher)
        if killed:
            raise Interrupted(killed, of_another=True) from error
        raise
    launcher.procs.clear()  # the observer's list, too: how they leave is no matter


@contextmanager
def _ending_with(first: int) -> Iterator[None]:
    """In the block a further process ends soon after the first one is gone, which it tells."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            if os.getppid() != first and not done.wait(_PATIENCE):
                os._exit(128 + signal.SIGKILL)  # it waits in C++ for what will never come

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except Exception as error:
        if _soon(lambda: os.getppid() != first):
            raise Interrupted(signal.SIGKILL, of_another=True) from error
        raise
    finally:
        done.set()


def _killed(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """The signal that has just ended one of them."""
    codes: list[int] = []

    def ended() -> bool:
        codes[:] = [code for process in processes if (code := process.poll()) and code < 0]
        return bool(codes)

    return -codes[0] if _soon(ended) else None


def _soon(claim: Callable[[], bool]) -> bool:
    """Whether it holds within a second: of a process that is killed, its end is heard of first."""
    until = time.monotonic() + 1
    while not (holds := claim()) and time.monotonic() < until:
        time.sleep(0.05)
    return holds


def _start(launcher: _SubprocessScriptLauncher) -> None:
    with TemporaryDirectory() as meeting:
        os.environ |= {_MEETING: meeting, _FIRST: str(os.getpid())}
        try:
            with Noted().listening(), signals_held():  # none that is not in `procs` yet is left
                launcher._call_children_scripts()
        finally:
            del os.environ[_MEETING], os.environ[_FIRST]
        while len(os.listdir(meeting)) < len(launcher.procs):
            _check_alive(launcher.procs)
            time.sleep(0.05)


def _check_alive(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        code = process.poll()
        if code is not None and code - 128 in SIGNALS:
            raise Interrupted(code - 128)
        if code is not None:
            raise UserError(
                f"a further process of this run ended with exit code {code} before the first "
                "step; what it said is above; run with ‹devices› 1 to see whether that works"
            )


def _end(launcher: _SubprocessScriptLauncher) -> None:
    processes = list(launcher.procs)
    launcher.procs.clear()  # else Lightning would answer their end by killing this process
    for process in processes:
        process.kill()  # they own no files, and in C++ would not hear SIGTERM
        process.wait()
