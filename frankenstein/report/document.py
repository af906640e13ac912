"""A run's report: a page of markdown with its figures beside it, and the same as one HTML file."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from frankenstein.files import write_whole
from frankenstein.report.cells import (
    CellMatrix,
    cells_csv,
    cells_json,
    cells_svg,
    svg_file,
)
from frankenstein.report.figure_values import (
    figure_csv,
    point_images,
    point_pages,
    points_svg,
)
from frankenstein.report.image_grid import strip_webp
from frankenstein.report.page import html_of, html_page
from frankenstein.report.style import pdf, png, svg
from frankenstein.report.tables import plain

_LONGEST = 100  # letters of a file's name
_MOST_STRIPS = 1_000_000  # bytes of the images of points, on one page


@dataclass(frozen=True)
class Picture:
    """A figure with the name of its file and the words that say how to read it."""

    name: str  # of the file, without .png; what no file may be called becomes a "-"
    figure: Figure
    caption: str  # its first sentence says what there is to see, to those who cannot see it too
    # Of a matrix, which the page then draws so that it can be touched; `cells_of` a heatmap.
    cells: CellMatrix | None = None
    csv: str = ""  # its numbers, where they are more than the figure holds

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", file_name(self.name))


@dataclass(frozen=True)
class Finding:
    """What was found, in a sentence or two of markdown: it stands first, below the title."""

    text: str


@dataclass(frozen=True)
class Fold:
    """Words that are read by those who ask: a page shows their title until it is clicked."""

    title: str
    text: str  # markdown


Block = str | Picture | Finding | Fold


def write_report(
    folder: str | Path,
    title: str,
    blocks: Sequence[Block],  # in the order of reading; a table is `markdown_table(...)`
) -> Path:
    """Write `report.md`, its pictures under `figures/`, and `report.html`, which holds all of it.

    Beside each PNG lie the same as SVG, and PDF if it is no matrix of cells, and numbers as CSV.

    The pages are written last, so they never link to a picture that is not there. Returns the path
    of `report.md`.

    Raises:
        ValueError: if two pictures share a name.
    """
    folder = Path(folder)
    pictures = [block for block in blocks if isinstance(block, Picture)]
    _check_names([picture.name for picture in pictures])
    images = {picture.name: png(picture.figure) for picture in pictures}
    if pictures:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    kinds: dict[str, list[str]] = {}
    for picture in pictures:
        files = _files_of(picture, images[picture.name])
        kinds[picture.name] = [*files]
        for kind, content in files.items():
            write_whole(folder / "figures" / f"{picture.name}.{kind}", content)
    title, numbers = _one_line(title), {name: i for i, name in enumerate(images, start=1)}
    told: dict[str, int] = {}
    markdown, html = [f"# {plain(title)}"], [html_of(f"# {plain(title)}")]
    for block in blocks:
        if isinstance(block, Picture):
            markdown.append(_linked(block, numbers[block.name]))
            html.append(
                _enclosed(block, numbers[block.name], images[block.name], kinds[block.name], told)
            )
        elif isinstance(block, Finding):
            markdown.append(block.text.strip("\n"))
            html.append(f'<div class="finding">\n{html_of(block.text)}</div>\n')
        elif isinstance(block, Fold):
            summary = f"<summary>{escape(block.title)}</summary>"
            markdown.append(f"<details>{summary}\n\n{block.text.strip()}\n\n</details>")
            html.append(f"<details>\n{summary}\n{html_of(block.text)}</details>\n")
        else:
            markdown.append(block.strip("\n"))
            html.append(html_of(block))
    write_whole(folder / "report.html", html_page(title, html))
    return write_whole(folder / "report.md", "\n\n".join(markdown) + "\n")


def _files_of(picture: Picture, image: bytes) -> dict[str, bytes | str]:
    """What lies under figures/ of one picture, by the ending of its name."""
    if picture.cells is None or not picture.cells.fits:
        drawn = svg(picture.figure)
    else:
        drawn = svg_file(cells_svg(picture.cells, _first_sentence(picture.caption)))
    numbers = picture.csv or (
        figure_csv(picture.figure) if picture.cells is None else cells_csv(picture.cells)
    )
    files: dict[str, bytes | str] = {"png": image, "svg": drawn}
    if picture.cells is None:
        files["pdf"] = pdf(picture.figure)
    return files | ({"csv": numbers} if numbers else {})


def _linked(picture: Picture, number: int) -> str:
    # A bracket would end the link's text.
    alternative = re.sub(r"([\[\]\\])", r"\\\1", _first_sentence(picture.caption))
    link = f"![{alternative}](figures/{picture.name}.png)"
    return f"{link}\n\n**Figure {number}.** {_one_line(picture.caption)}"


def _enclosed(
    picture: Picture,
    number: int,
    image: bytes,
    files: Sequence[str],
    told: dict[str, int],  # points whose images stand on the page, and how many bytes each takes
) -> str:
    alternative = _first_sentence(picture.caption)
    caption = html_of(f"**Figure {number}.** {_one_line(picture.caption)}")
    if picture.cells is not None and picture.cells.fits:
        label = f"matrix of figure {number}: arrow keys move, Enter shows the pair"
        look, shown = (
            "matrix",
            (
                f'<div class="wide" role="group" tabindex="0" aria-label="{label}">\n'
                f"{cells_svg(picture.cells, alternative)}\n</div>\n"
                f'<script type="application/json">{cells_json(picture.cells)}</script>\n'
                "<output>Point at a cell, or tap it; click it for all of its pair.</output>\n"
            ),
        )
    else:
        data = base64.b64encode(image).decode()
        size = picture.figure.get_size_inches() * picture.figure.dpi
        look, shown = (
            "drawn",
            (
                f'<img src="data:image/png;base64,{data}" alt="{escape(alternative)}" '
                f'width="{int(size[0])}" height="{int(size[1])}" />\n'
            ),
        )
        if points := points_svg(picture.figure):
            seen = point_images(picture.figure)
            more = ", and click it for the images that it answers to most" if seen else ""
            more = ", and click it for its own page" if point_pages(picture.figure) else more
            hint = f"<output>Point at a mark, or tap it, for its name{more}.</output>"
            shown = f'<div class="map">\n{shown}{points}\n</div>\n{hint}\n{_strips(seen, told)}'
    links = "\n".join(
        f'<a href="figures/{picture.name}.{kind}" download="{picture.name}.{kind}">'
        f'{kind.upper()}<span class="unseen"> of figure {number}</span></a>'
        for kind in files
    )
    return (
        f'<figure id="figure-{number}" class="{look}">\n{shown}'
        f'<p class="get">\n{links}\n</p>\n<figcaption>{caption}</figcaption>\n</figure>\n'
    )


def _strips(seen: Mapping[str, Tensor], told: dict[str, int]) -> str:
    """The images of every point that is not on the page already, as far as there is room."""
    rows = []
    for name, images in seen.items():
        if name in told or sum(told.values()) > _MOST_STRIPS:
            continue
        data = base64.b64encode(strip_webp(images)).decode()
        told[name] = len(data)
        rows.append(
            f'<li data-of="{escape(name)}">{escape(name)}<img src="data:image/webp;base64,{data}" '
            f'alt="{len(images)} images that {escape(name)} answers to most" /></li>'
        )
    left = len([*seen]) - len([name for name in seen if name in told])
    more = f"<p>Left out, so that the page stays small: {left} more.</p>\n" if left else ""
    if not rows:
        return more
    body = "\n".join(rows)
    return (
        "<details>\n<summary>Images that each mark answers to most</summary>\n"
        f'<ul class="strips">\n{body}\n</ul>\n{more}</details>\n'
    )


def file_name(words: str) -> str:
    """A file's name, without its ending, of any words: of layers, scores or classes.

    >>> file_name("sweep-explained@cut/after"), file_name("../é")
    ('sweep-explained-cut-after', '-')
    >>> len(file_name(300 * "a")), file_name(300 * "a") == file_name(301 * "a")
    (100, False)
    """
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", words).lstrip(".") or "-"
    if len(name) <= _LONGEST:
        return name
    mark = hashlib.sha256(words.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST - 9]}-{mark}"


def _check_names(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two pictures are named {name!r}; give each its own name")


def _first_sentence(text: str) -> str:
    """What can be read aloud: no marks of code or emphasis."""
    plain = re.sub(r"[`*]", "", _one_line(text))
    return re.split(r"(?<=[.;:])\s", plain, maxsplit=1)[0].rstrip(";:") or "a figure"


def _one_line(text: str) -> str:
    return " ".join(text.split())
