"""The engine without workers: one run after the other, in this process."""

import time
import traceback
from collections import deque
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

from frankenstein.errors import AlreadyDone, UserError
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.studies.engine import Outcome
from frankenstein.studies.folder import log_of
from frankenstein.studies.graph import Node


class OneByOne:
    """Nodes in the order in which they were given; what they print goes to their logs."""

    workers = 1

    def __init__(self, study: Run) -> None:
        self.study = study
        self.nodes: deque[Node] = deque()

    def start(self, node: Node) -> None:
        """Take a node."""
        self.nodes.append(node)

    def wait(self) -> Outcome:
        """Run the first one that was taken."""
        node = self.nodes.popleft()
        write = self.study.command.of
        command = replace(write(node.plan) if write else Command(), goes_on="step")
        log, began = log_of(self.study.folder, node.name), time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
            try:
                folder, seconds = node.plan.run(command).folder, time.monotonic() - began
            except AlreadyDone as done:
                folder, seconds = done.folder, 0.0
            except UserError as error:
                return Outcome(node.name, failure=str(error))
            except Exception as error:  # a bug in one run is no reason to end the others
                traceback.print_exc()
                return Outcome(node.name, failure=f"{type(error).__name__}: {error}; see {log}")
        return Outcome(node.name, folder, seconds=seconds)
