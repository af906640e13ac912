"""One plan in a fresh process: what runs in it, and how its worker starts and stops it.

Never in a worker's own thread: `torch.manual_seed` is the process's, and trainings side by side
would draw from each other's generators without a word.

The process is a fork of a server that has imported everything and run nothing, so that it begins
in a tenth of a second and yet knows nothing of earlier runs. Where there is no such server
(Windows), it is a new process of Python.
"""

import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, MutableMapping
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from frankenstein.buffers import keep_buffers
from frankenstein.catalog import VERBS
from frankenstein.errors import AlreadyDone, Interrupted, UserError
from frankenstein.printing import printing
from frankenstein.runs.folder import SHARED
from frankenstein.runs.plan import Command
from frankenstein.signals import signals_raise

Job = Mapping[str, Any]  # plain data: see `job_of`
Answer = dict[str, Any]  # "folder" of the whole run, or "failure", a line; "seconds"; "stopped"

PRELOADED = "frankenstein.studies.cluster.preload"
_GRACE = 5.0  # seconds from SIGTERM to kill
# Of launchers: a run that saw them would take itself for one process of several.
_DROPPED = (
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "NODE_RANK",
    SHARED,
)
_DROPPED_STARTS = ("SLURM_", "TORCHELASTIC_", "PMI_", "OMPI_COMM_", "MASTER_")


class Child:
    """The process of a run, in a process group of its own."""

    def __init__(self, job: Job, method: str | None = None) -> None:
        methods = multiprocessing.get_all_start_methods()
        start = method or ("forkserver" if "forkserver" in methods else "spawn")
        context: Any = multiprocessing.get_context(start)
        if start == "forkserver":
            context.set_forkserver_preload([PRELOADED])
        self.answers, theirs = context.Pipe(duplex=False)
        # No daemon: it starts processes of its own, which load data or share a training.
        self.process = context.Process(target=run_job, args=(dict(job), theirs), daemon=False)
        self.process.start()
        theirs.close()
        self.stopped_at: float | None = None

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, after at most that time."""
        return bool(wait([self.process.sentinel], seconds))

    def stop(self) -> None:
        """Ask it to end, so that it can be gone on with; ask again, and late, and it is killed."""
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
            self._signal(signal.SIGTERM)
        elif time.monotonic() > self.stopped_at + _GRACE:
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def answer(self) -> Answer:
        """What it said before it ended."""
        try:
            answer: Answer = self.answers.recv() if self.answers.poll() else {}
        except EOFError:
            answer = {}
        self.process.join()
        code = self.process.exitcode or 0
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))  # what it may have left behind
        self.answers.close()
        self.process.close()
        if self.stopped_at is not None and "folder" not in answer:
            return {"stopped": True}
        return answer or {"killed": -code if code < 0 else code}

    def _signal(self, signum: int) -> None:
        try:
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signum)
            else:
                os.kill(self.process.pid, signum)
        except (ProcessLookupError, PermissionError):  # it is gone, or has no group yet
            if self.process.exitcode is None:
                os.kill(self.process.pid, signum)


def run_job(job: Job, answers: Connection) -> None:
    """Run a plan in this process, which is its own, and answer how it ended."""
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, and no terminal whose Ctrl-C it would hear
    threading.Thread(target=_die_with_parent, daemon=True).start()
    drop_launchers(os.environ)
    answer: Answer = {}
    try:
        os.chdir(job["cwd"])
        _print_into(Path(job["log"]))
        answer = _answer(job)
    except OSError as error:
        answer = {
            "failure": f"{error.strerror}: {error.filename}; workers share the client's folder"
        }
    answers.send(answer)
    answers.close()


def drop_launchers(environment: MutableMapping[str, str]) -> None:
    """Forget what srun, torchrun or mpirun told the worker; a run starts processes itself."""
    for name in [*environment]:
        if name in _DROPPED or name.startswith(_DROPPED_STARTS):
            del environment[name]


def _answer(job: Job) -> Answer:
    import torch  # the server has it already

    torch.set_num_threads(torch.get_num_threads())  # before two threads ask for the pool at once
    keep_buffers()
    command = Command(**job["command"], goes_on="step")
    sys.argv = shlex.split(command.line) or sys.argv
    began = time.monotonic()
    with printing():
        try:
            with signals_raise():
                run = VERBS[job["verb"]].target(**job["values"]).run(command)
            return {"folder": str(run.folder), "seconds": time.monotonic() - began}
        except AlreadyDone as done:
            return {"folder": str(done.folder), "seconds": 0.0}
        except Interrupted:
            return {"stopped": True}
        except UserError as error:
            return {"failure": str(error)}
        except BaseException as error:
            traceback.print_exc()
            return {"failure": f"{type(error).__name__}: {error}; see {job['log']}"}


def _print_into(log: Path) -> None:
    """All that this process and its libraries print goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)


def _die_with_parent() -> None:
    """End with the worker, however that ends; the server that this was forked from lives on."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    wait([parent.sentinel])
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
