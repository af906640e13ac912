"""How long the rest of a study will take, from the runs that are done."""

from collections.abc import Sequence
from statistics import mean

from frankenstein.studies.engine import Outcome
from frankenstein.studies.graph import Node


class Clock:
    """Seconds of the runs so far, by verb."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def ended(self, outcome: Outcome) -> None:
        """Take note of a run."""
        if outcome.folder and outcome.seconds:
            self.seconds.setdefault(_verb(outcome.name), []).append(outcome.seconds)

    def left(self, nodes: Sequence[Node], workers: int) -> float | None:
        """Seconds that so many workers will take for these; None while nothing is known.

        A verb of which no run is done yet is taken to be as slow as the others.
        """
        if not self.seconds:
            return None
        means = {verb: mean(several) for verb, several in self.seconds.items()}
        total = sum(means.get(_verb(node.name), mean(means.values())) for node in nodes)
        return total / max(1, min(workers, len(nodes)))


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
