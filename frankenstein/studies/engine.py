"""What runs the nodes of a study: the promise of every engine, and how a node may end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from frankenstein.studies.graph import Node


@dataclass(frozen=True)
class Outcome:
    """How a node has ended: with a whole run, or with a line that says why there is none."""

    name: str
    folder: Path | None = None
    failure: str = ""
    seconds: float = 0.0  # that it took; 0 if it was there already


class Engine(Protocol):
    """It takes nodes whose networks are there, and gives back one that has ended."""

    @property
    def workers(self) -> int:
        """Runs at a time, as far as is known now."""

    def start(self, node: Node) -> None:
        """Take a node; it need not begin at once."""

    def wait(self) -> Outcome:
        """The next one that has ended."""
