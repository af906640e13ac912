"""One question's part of a report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frankenstein.report.document import Picture
from frankenstein.report.short import Short


@dataclass(frozen=True)
class Section:
    """A heading, and what stands below it."""

    title: str
    blocks: tuple[str | Picture, ...]  # in the order of reading; a table is `markdown_table(...)`
    scores: dict[str, float] = field(default_factory=dict)  # until the last question is converted
    short: Short | None = None  # what the terminal shows
    # What the run's folder is to hold beside the report: file name, and what writes it to a path.
    saves: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)

    @property
    def numbers(self) -> Mapping[str, float]:
        """As an answer has them; until the last question is converted."""
        return self.scores
