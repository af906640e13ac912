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
    short: Short | None = None  # what the terminal shows
    # What the run's folder is to hold beside the report: file name, and what writes it to a path.
    saves: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
