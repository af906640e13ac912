"""The engine on Dask: what may begin is given to workers, of this machine or of a scheduler."""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster

from frankenstein.errors import RunsFailed, UserError
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.studies.cluster.connection import Address, new_key, read_address
from frankenstein.studies.cluster.settings import ALLOWED_FAILURES, NO_PAGES, SETTINGS
from frankenstein.studies.cluster.shares import threads_of, visible_gpus
from frankenstein.studies.cluster.task import run_in_child
from frankenstein.studies.cluster.worker import WorkerProcess
from frankenstein.studies.engine import Outcome
from frankenstein.studies.folder import log_of
from frankenstein.studies.graph import Node

_OFTEN = 0.5  # seconds between looks
_END = 7.0  # seconds for workers to stop their runs
_FILE = 20  # seconds that a scheduler's file is waited for: both may have been started together


@dataclass
class OnDask:
    """Nodes as tasks of a scheduler."""

    client: Client
    study: Run
    gpus: int  # of each run
    local: list[WorkerProcess] = field(default_factory=list)  # none: a scheduler's own
    tasks: dict[str, tuple[Node, Future]] = field(default_factory=dict)
    ended: SimpleQueue[str] = field(default_factory=SimpleQueue)
    looked: float = 0.0

    @property
    def workers(self) -> int:
        """Runs at a time, as far as is known now."""
        return len(self.local) or len(self._resources())

    def start(self, node: Node) -> None:
        """Give a node to the scheduler."""
        future = self.client.submit(
            run_in_child,
            job_of(node, self.study),
            key=f"{node.name}-{os.urandom(6).hex()}",
            resources={"GPU": self.gpus} if self.gpus else None,
            retries=0,  # a mistake would be made again
            pure=False,
        )
        self.tasks[str(future.key)] = node, future
        future.add_done_callback(lambda done: self.ended.put(str(done.key)))

    def wait(self) -> Outcome:
        """The next one that has ended.

        Raises:
            UserError: if no worker has as many GPUs as a run takes.
            RunsFailed: if the scheduler is gone.
        """
        while True:
            self._look()
            try:
                key = self.ended.get(timeout=_OFTEN)
            except Empty:
                continue
            node, future = self.tasks.pop(key)
            if future.status == "cancelled":
                raise self._lost()
            if future.status == "error":
                return Outcome(node.name, failure=self._why(node, future))
            answer = future.result()
            if "stopped" not in answer:
                return _outcome(node, answer)
            self.start(node)  # its worker was stopped: another one goes on with it

    def _look(self) -> None:
        """Whether all is as it should be, now and then."""
        if time.monotonic() < self.looked + _OFTEN:
            return
        self.looked = time.monotonic()
        if self.client.status != "running":
            raise self._lost()
        for worker in self.local:
            worker.keep()
        if self.gpus and not self.local:
            given = self._resources()
            if given and max(given) < self.gpus:
                raise UserError(
                    f"‹gpus_per_run› {self.gpus} is more than any worker gives ({max(given):g}); "
                    "start workers with ‹gpus›"
                )

    def _resources(self) -> list[float]:
        """GPUs of each worker of the scheduler."""
        found = self.client.scheduler_info()["workers"].values()
        return [one["resources"].get("GPU", 0) for one in found]

    def _lost(self) -> RunsFailed:
        return RunsFailed("the scheduler is gone, and what was under way has stopped", {})

    def _why(self, node: Node, future: Future) -> str:
        error = future.exception()
        log = log_of(self.study.folder, node.name)
        if isinstance(error, KilledWorker):
            return f"it ended its worker {ALLOWED_FAILURES + 1} times; see {log}"
        return f"{type(error).__name__}: {error}; see {log}"


@contextmanager
def on_this_machine(study: Run, workers: int, gpus: int) -> Iterator[OnDask]:
    """Workers and a scheduler of this study alone, on the loopback, with a key of their own."""
    logs = study.folder / "logs"
    logs.mkdir(exist_ok=True)
    key, certificate = new_key()
    security = Address("", key, certificate).security()
    visible = visible_gpus()
    threads = str(threads_of(workers))
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        secret = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="frankenstein-")))
        try:
            cluster = LocalCluster(
                n_workers=0,
                host="127.0.0.1",
                protocol="tls://",
                security=security,
                silence_logs=50,
                scheduler_kwargs=NO_PAGES,
                dashboard_address="127.0.0.1:0",
            )
        except RuntimeError as error:
            raise UserError(
                f"a study needs 127.0.0.1 for its workers on this machine, and it does not answer "
                f"({error}); bring the loopback network up, or do one run at a time by ‹workers› 0"
            ) from error
        stack.callback(_quietly, cluster.close, 2)
        file = secret / "scheduler.json"
        Address(cluster.scheduler_address, key, certificate).write(file)
        client = Client(cluster.scheduler_address, security=security, set_as_default=False)
        stack.callback(_quietly, client.close, 2)
        engine = OnDask(client, study, gpus)
        stack.callback(_end, engine)
        for number in range(workers):
            environment = {"OMP_NUM_THREADS": threads}
            if gpus:
                own = visible[number * gpus : (number + 1) * gpus]
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(own)
            log = stack.enter_context((logs / f"worker-{number}.log").open("ab"))
            engine.local.append(WorkerProcess(str(file), False, gpus, environment, log))
        yield engine


@contextmanager
def on_a_scheduler(study: Run, scheduler: str, insecure: bool, gpus: int) -> Iterator[OnDask]:
    """The workers of a scheduler that is there.

    Raises:
        UserError: if it is not there, or must not be trusted.
    """
    found = read_address(scheduler, insecure, _FILE)
    with dask.config.set(SETTINGS):
        try:
            client = Client(
                found.address, security=found.security(), set_as_default=False, timeout=10
            )
        except (OSError, TimeoutError) as error:
            raise UserError(f"no scheduler answers at {found.address}: {error}") from None
        engine = OnDask(client, study, gpus)
        try:
            yield engine
        finally:
            _end(engine)
            _quietly(client.close, 2)


def job_of(node: Node, study: Run) -> dict[str, Any]:
    """A node as plain data, which a worker of any machine can run."""
    write = study.command.of
    command = write(node.plan) if write else Command()
    names = ("line", "replay", "resume", "language")
    return {
        "verb": node.plan.verb,
        "values": node.plan.values(),
        "command": {name: getattr(command, name) for name in names},
        "cwd": os.getcwd(),
        "log": str(log_of(study.folder, node.name)),
    }


def _outcome(node: Node, answer: Mapping[str, Any]) -> Outcome:
    if "folder" in answer:
        return Outcome(node.name, Path(answer["folder"]), seconds=answer["seconds"])
    return Outcome(node.name, failure=answer["failure"])


def _end(engine: OnDask) -> None:
    """Stop what is still running, so that it can be gone on with."""
    if engine.tasks and engine.client.status == "running":
        futures = [future for _, future in engine.tasks.values()]
        _quietly(lambda seconds: engine.client.cancel(futures, force=True), 2)
    for worker in engine.local:
        worker.stop()
    until = time.monotonic() + _END
    for worker in engine.local:
        worker.end(until - time.monotonic())


def _quietly(close: Any, seconds: float) -> None:
    """Close what may be gone already."""
    with suppress(Exception):
        close(seconds)
