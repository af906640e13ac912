"""A run's report: a page of markdown with its figures beside it, and the same as one HTML file."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from frankenstein.files import write_whole
from frankenstein.report.page import html_of, html_page
from frankenstein.report.style import png
from frankenstein.report.tables import plain


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and the words that say how to read it."""

    name: str  # of the file, without .png
    figure: Figure
    caption: str  # its first sentence says what there is to see, to those who cannot see it too


def write_report(
    folder: str | Path,
    title: str,
    blocks: Sequence[str | Picture],  # in the order of reading; a table is `markdown_table(...)`
) -> Path:
    """Write `report.md`, its pictures under `figures/`, and `report.html`, which holds all of it.

    The pages are written last, so they never link to a picture that is not there. Returns the path
    of `report.md`.

    Raises:
        ValueError: if a picture's name is no plain file name, or two pictures share one.
    """
    folder = Path(folder)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    _check_names([picture.name for picture in pictures])
    images = {picture.name: png(picture.figure) for picture in pictures}
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        write_whole(folder / "figures" / f"{name}.png", image)
    title, numbers = _one_line(title), {name: i for i, name in enumerate(images, start=1)}
    markdown, html = [f"# {plain(title)}"], [html_of(f"# {plain(title)}")]
    for block in blocks:
        if isinstance(block, Picture):
            markdown.append(_linked(block, numbers[block.name]))
            html.append(_enclosed(block, numbers[block.name], images))
        else:
            markdown.append(block.strip("\n"))
            html.append(html_of(block))
    write_whole(folder / "report.html", html_page(title, html))
    return write_whole(folder / "report.md", "\n\n".join(markdown) + "\n")


def _linked(picture: Picture, number: int) -> str:
    # A bracket would end the link's text.
    alternative = re.sub(r"([\[\]\\])", r"\\\1", _first_sentence(picture.caption))
    link = f"![{alternative}](figures/{picture.name}.png)"
    return f"{link}\n\n**Figure {number}.** {_one_line(picture.caption)}"


def _enclosed(picture: Picture, number: int, images: Mapping[str, bytes]) -> str:
    data = base64.b64encode(images[picture.name]).decode()
    alternative = escape(_first_sentence(picture.caption))
    width, height = (int(side * picture.figure.dpi) for side in picture.figure.get_size_inches())
    caption = html_of(f"**Figure {number}.** {_one_line(picture.caption)}")
    return (
        f'<figure id="figure-{number}">\n'
        f'<img src="data:image/png;base64,{data}" alt="{alternative}" '
        f'width="{width}" height="{height}" />\n'
        f"<figcaption>{caption}</figcaption>\n</figure>\n"
    )


def _check_names(names: list[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
            raise ValueError(
                f"a picture's name becomes a file, got {name!r}; use letters, digits, _ . and -"
            )
        if names.count(name) > 1:
            raise ValueError(f"two pictures are named {name!r}; give each its own name")


def _first_sentence(text: str) -> str:
    """What can be read aloud: no marks of code or emphasis."""
    plain = re.sub(r"[`*]", "", _one_line(text))
    return re.split(r"(?<=[.;:])\s", plain, maxsplit=1)[0].rstrip(";:") or "a figure"


def _one_line(text: str) -> str:
    return " ".join(text.split())
