"""One question's part of a report: what is read, and the numbers that go into `summary.json`."""

from dataclasses import dataclass

from frankenstein.report.document import Picture


@dataclass(frozen=True)
class Section:
    """A heading, what stands below it, and named numbers; NaN is a number that is undefined."""

    title: str
    blocks: tuple[str | Picture, ...]  # in the order of reading; a table is `markdown_table(...)`
    scores: dict[str, float]  # such as {"sorted_cosine/relu3": 0.97}
    headlines: tuple[str, ...] = ()  # scores that the terminal shows; all if none are named
