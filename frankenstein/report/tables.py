"""The same rows as a table for GitHub and as one for the terminal."""

import math
import re
import textwrap
from collections.abc import Collection, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from frankenstein.shapes import ShapeError

_GAP = "n/a"
_INTERVAL = re.compile(r"[-+]?\d[\d.]*( %)? (±|to) [-+]?\d")  # as in 0.97 ± 0.01, 95.1 to 97.2
_MADE = re.compile(r"(`+)(?!`).*[^`]\1|\[([^\[\]\\]|\\.)*\]\([^()\s:]*/[^()\s:]*\)", re.DOTALL)
_WORD = 12  # letters of a header that stay on one line


def markdown_table(
    rows: Sequence[Sequence[Any]],
    header: Sequence[str],
    percent: Collection[str] = (),  # names of the columns whose shares are shown as percentages
    right: Collection[str] = (),  # columns of texts that are numbers to a reader, as 0.5 ± 0.1 is
) -> str:
    """GitHub markdown that is aligned as text too; columns of numbers to the right.

    Raises:
        ShapeError: if a row has not one cell per name in the header.

    >>> print(markdown_table([["affine", 0.9812], ["identity", None]], ["stitch", "accuracy"]))
    | stitch   | accuracy |
    | :------- | -------: |
    | affine   |   0.9812 |
    | identity |      n/a |
    """
    names = [_escaped(name) for name in header]
    cells = [[_escaped(cell) for cell in row] for row in _formatted(rows, header, percent)]
    numeric = zip(header, _numeric(rows, header), strict=True)
    to_the_right = [name in right or is_number for name, is_number in numeric]
    widths = [max(3, *map(len, column)) for column in zip(names, *cells, strict=True)]
    rule = [
        "-" * (width - 1) + ":" if to_right else ":" + "-" * (width - 1)
        for width, to_right in zip(widths, to_the_right, strict=True)
    ]
    lines = [names, rule, *cells]
    return "\n".join(f"| {' | '.join(_padded(line, widths, to_the_right))} |" for line in lines)


def rich_table(
    rows: Sequence[Sequence[Any]],
    header: Sequence[str],
    percent: Collection[str] = (),
    title: str | None = None,
    right: Collection[str] = (),  # as of `markdown_table`
) -> Table:
    """The same rows for `rich.print`. Where there is little room texts break, numbers never do.

    Raises:
        ShapeError: if a row has not one cell per name in the header.
    """
    cells = _formatted(rows, header, percent)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, (name, is_number) in enumerate(zip(header, _numeric(rows, header), strict=True)):
        if name in right or is_number:
            width = max((len(row[i]) for row in cells), default=0)
            head = Text(_broken(name, width))
            table.add_column(head, justify="right", no_wrap=True, min_width=width)
        else:
            table.add_column(Text(name), overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def format_value(value: Any, percent: bool = False) -> str:
    """A cell's text: four significant digits, or a share as a percentage; n/a for no value.

    >>> [format_value(v) for v in (0.98123, 12, None, 1234567.0)]
    ['0.9812', '12', 'n/a', '1234567']
    >>> format_value(0.98123, percent=True)
    '98.12 %'
    """
    value = value.item() if hasattr(value, "item") else value  # of a tensor or a NumPy number
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return _GAP
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if percent:
        return f"{100 * value:z.2f} %"
    if isinstance(value, int) or math.isinf(value):
        return str(value)
    if value == 0:
        return "0"
    if 999.95 <= abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:#.4g}" if 1e-4 <= abs(value) < 1e9 else f"{value:.3e}"


def interval_text(low: float, high: float, signed: bool = False) -> str:
    """An interval of a share, in per cent.

    >>> interval_text(0.8873, 0.9), interval_text(-0.001, 0.02, signed=True)
    ('88.73 to 90.00', '-0.10 to +2.00')
    """
    return " to ".join(f"{100 * end:{'+' if signed else ''}z.2f}" for end in (low, high))


def _broken(name: str, width: int) -> str:
    """A header on lines that are about as long as the numbers below it."""
    width = min(_WORD, max([width, *map(len, re.findall(r"[^\s_/.]+[_/.]?", name))]))
    lines = textwrap.wrap(re.sub(r"([_/.])", "\\1 ", name), max(1, width))
    return re.sub(r"([_/.]) ", r"\1", "\n".join(lines))


def _formatted(
    rows: Sequence[Sequence[Any]], header: Sequence[str], percent: Collection[str]
) -> list[list[str]]:
    for row in rows:
        if len(row) != len(header):
            raise ShapeError(
                f"a row needs {len(header)} cells ({', '.join(header)}), got {len(row)}: {row!r}"
            )
    return [
        [format_value(cell, name in percent) for cell, name in zip(row, header, strict=True)]
        for row in rows
    ]


def _numeric(rows: Sequence[Sequence[Any]], header: Sequence[str]) -> list[bool]:
    """Which columns hold nothing but numbers, intervals and gaps, and at least one of them."""
    columns = [[row[i] for row in rows] for i in range(len(header))]
    return [
        any(cell not in (None, _GAP) for cell in column)
        and all(cell in (None, _GAP) or _is_number(cell) for cell in column)
        for column in columns
    ]


def _is_number(cell: Any) -> bool:
    if isinstance(cell, str):
        return _INTERVAL.match(cell) is not None
    cell = cell.item() if hasattr(cell, "item") else cell
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def plain(text: str) -> str:
    """Somebody's words in markdown, where nothing in them is markup.

    >>> print(plain("<b> ![a](http://b) `c` *d* bn_1"))
    \\<b> !\\[a\\](http://b) \\`c\\` \\*d\\* bn_1
    """
    return re.sub(r"([\\`*<&\[\]]|\b_|_\b)", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Somebody's words as code in markdown, whatever they hold.

    >>> code("bn3"), code("a`b")
    ('`bn3`', '`` a`b ``')
    """
    text = " ".join(text.split())
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, space = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{space}{text}{space}{fence}"


def fenced(text: str, language: str = "") -> str:
    """Somebody's lines as a block of code in markdown, whatever they hold.

    >>> fenced("a").splitlines(), fenced("~~~".replace("~", "`")).splitlines()[0]
    (['```', 'a', '```'], '````')
    """
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    return f"{fence}{language}\n{text.strip()}\n{fence}"


def _escaped(text: str) -> str:
    """A cell: somebody's words, unless it is code, or a link, that a page has made."""
    made = _MADE.fullmatch(text)
    return (" ".join(text.split()) if made else plain(text)).replace("|", "\\|")


def _padded(cells: list[str], widths: list[int], right: list[bool]) -> list[str]:
    return [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    ]
