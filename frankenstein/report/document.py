"""A run's report: a page of markdown with its figures beside it, to be read where it lies."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from frankenstein.files import write_whole
from frankenstein.report.style import png


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and the words that say how to read it."""

    name: str  # of the file, without .png
    figure: Figure
    caption: str


def write_report(
    folder: str | Path,
    title: str,
    blocks: Sequence[str | Picture],  # in the order of reading; a table is `markdown_table(...)`
) -> Path:
    """Write `report.md`, and its pictures under `figures/`; returns the path of the page.

    The page is written last, so it never links to a picture that is not there.

    Raises:
        ValueError: if a picture's name is no plain file name, or two pictures share one.
    """
    folder = Path(folder)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    _check_names([picture.name for picture in pictures])
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        write_whole(folder / "figures" / f"{picture.name}.png", png(picture.figure))
    numbers = {picture.name: i for i, picture in enumerate(pictures, start=1)}
    page = [f"# {_one_line(title)}"]
    for block in blocks:
        if isinstance(block, Picture):
            page.append(_linked(block, numbers[block.name]))
        else:
            page.append(block.strip("\n"))
    return write_whole(folder / "report.md", "\n\n".join(page) + "\n")


def _linked(picture: Picture, number: int) -> str:
    caption = _one_line(picture.caption)
    alternative = re.sub(r"([\[\]\\])", r"\\\1", caption)  # a bracket would end the link's text
    return f"![{alternative}](figures/{picture.name}.png)\n\n**Figure {number}.** {caption}"


def _check_names(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
            raise ValueError(
                f"a picture's name becomes a file, got {name!r}; use letters, digits, _ . and -"
            )
        if names.count(name) > 1:
            raise ValueError(f"two pictures are named {name!r}; give each its own name")


def _one_line(text: str) -> str:
    return " ".join(text.split())
