"""One question's part of a report: what is read, and the numbers that go into `summary.json`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frankenstein.report.document import Picture
from frankenstein.report.short import Short


@dataclass(frozen=True)
class Section:
    """A heading, what stands below it, and named numbers; NaN is a number that is undefined."""

    title: str
    blocks: tuple[str | Picture, ...]  # in the order of reading; a table is `markdown_table(...)`
    scores: dict[str, float]  # such as {"sorted_cosine/relu3": 0.97}
    short: Short | None = None  # what the terminal shows
    # What the run's folder is to hold beside the report: file name, and what writes it to a path.
    saves: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
