"""How long the rest of a study will take, from the runs that are done, now or earlier."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import mean

from frankenstein.errors import FileError
from frankenstein.records import read_json
from frankenstein.studies.engine import Outcome
from frankenstein.studies.graph import Node

_OWN = ("sender", "receiver", "more", "run_name", "init_noise", "gradient_noise", "seed")


class Clock:
    """Seconds of the runs so far, by kind: a verb with all of its fields but networks and seeds."""

    def __init__(self, nodes: Sequence[Node], known: Mapping[str, Path]) -> None:
        self.kinds = {node.name: _kind(node) for node in nodes}
        self.seconds: dict[str, list[float]] = {}
        for name, folder in known.items():
            with suppress(FileError, OSError):
                took = read_json(folder / "run.json").get("seconds")
                if isinstance(took, int | float):
                    self._note(name, took)

    def ended(self, outcome: Outcome) -> None:
        """Take note of a run."""
        if outcome.folder and outcome.seconds:
            self._note(outcome.name, outcome.seconds)

    def knows(self, nodes: Sequence[Node]) -> bool:
        """Whether a run of each of their verbs is done."""
        verbs = {_verb(name) for name in self.seconds}
        return bool(self.seconds) and all(_verb(node.name) in verbs for node in nodes)

    def left(self, nodes: Sequence[Node], workers: int) -> float | None:
        """Seconds that so many workers will take for these; None while nothing is known.

        A kind of which no run is done yet is taken to be as slow as the others of its verb, and a
        verb as slow as the others.
        """
        if not self.seconds:
            return None
        kinds = {kind: mean(several) for kind, several in self.seconds.items()}
        verbs: dict[str, list[float]] = {}
        for kind, seconds in kinds.items():
            verbs.setdefault(_verb(kind), []).append(seconds)
        total = 0.0
        for node in nodes:
            alike = verbs.get(_verb(node.name), [*kinds.values()])
            total += kinds.get(self.kinds[node.name], mean(alike))
        return total / max(1, min(workers, len(nodes)))

    def _note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(self.kinds[name], []).append(seconds)


def _kind(node: Node) -> str:
    fields = {key: value for key, value in node.plan.values().items() if key not in _OWN}
    return f"{_verb(node.name)}/{json.dumps(fields, sort_keys=True, default=str)}"


def in_words(seconds: float) -> str:
    """A time that is an estimate: one unit is enough.

    >>> in_words(12.3), in_words(200), in_words(9000), in_words(200_000)
    ('12 s', '3 min', '2.5 h', '2.3 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def _verb(name: str) -> str:
    return name.partition("/")[0]
