"""`frankenstein worker`: a Dask worker that is started again if something kills it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from frankenstein.errors import UserError
from frankenstein.runs.plan import Command
from frankenstein.studies.cluster.connection import need_cluster, read_address
from frankenstein.studies.plan import WorkerPlan

_OFTEN = 0.2  # seconds between looks
_FILE = 60  # seconds that the scheduler's file is waited for
_MOST = 2  # times that it may end by itself before it has lived a minute


class WorkerProcess:
    """The process of a worker, which is started again when it was killed."""

    def __init__(
        self,
        scheduler: str,
        insecure: bool,
        gpus: int,
        environment: Mapping[str, str],
        log: IO[Any] | None = None,
    ) -> None:
        self.said = {"scheduler": scheduler, "insecure": insecure, "gpus": gpus}
        self.environment, self.log = {**os.environ, **environment}, log
        self.failures = 0
        self._start()

    def keep(self) -> bool:
        """Start it again if it was killed; False once it has ended by itself.

        Raises:
            UserError: if it ends again and again though nothing kills it.
        """
        code = self.process.poll()
        if code is None:
            return True
        if code == 0:
            return False
        if code > 0:  # not killed, but broken
            young = time.monotonic() - self.began < 60
            self.failures = self.failures + 1 if young else 1
            if self.failures > _MOST:
                where = getattr(self.log, "name", "what it printed")
                raise UserError(f"a worker ended {self.failures} times by itself; see {where}")
        self._start()
        return True

    def stop(self) -> None:
        """Ask it to end, its run too."""
        if self.process.poll() is None:
            self.process.terminate()

    def end(self, seconds: float) -> None:
        """Wait for its end, and kill it then."""
        try:
            self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _start(self) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "frankenstein.studies.cluster.serving"],
            stdin=subprocess.PIPE,
            stdout=self.log,
            stderr=self.log,
            env=self.environment,
            start_new_session=True,  # Ctrl-C is for the one who started it
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**self.said, "parent": os.getpid()}).encode() + b"\n")
        self.process.stdin.close()


def run_worker(plan: WorkerPlan, command: Command) -> None:
    """Serve a scheduler until it is gone.

    Raises:
        UserError: if Dask is not installed, there is no such scheduler, or it is open to others.
    """
    need_cluster("scheduler")
    read_address(plan.scheduler, plan.insecure, _FILE)
    scheduler = plan.scheduler if "://" in plan.scheduler else str(Path(plan.scheduler).resolve())
    threads = {"OMP_NUM_THREADS": str(plan.threads or cores())}
    worker = WorkerProcess(scheduler, plan.insecure, plan.gpus, threads)
    try:
        while worker.keep():
            time.sleep(_OFTEN)
    finally:
        worker.stop()
        worker.end(9)


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
