"""Markdown as one HTML page that fetches nothing: styles and pictures lie inside it."""

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_CSS, _SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("css", "js"))
# A browser that is told so refuses whatever the page tries to load from elsewhere, and runs no
# script but the one with this hash.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{}'"
)
_LONG = 20  # letters of a name that need not fit on one line
_CONTENTS = 4  # sections from which a page begins with a list of them


def html_page(title: str, sections: Sequence[str]) -> str:
    """A whole page, well-formed as XML too, of pieces of HTML such as `html_of` makes.

    The list of sections stands behind the title and what is found, if a `finding` follows it.
    """
    # An XML reader takes what is in CDATA as it is, and a browser takes its marks for comments.
    script = f"//<![CDATA[\n{_SCRIPT.read_text(encoding='utf-8')}//]]>"
    seal = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8" />\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1" />\n'
        '<meta name="color-scheme" content="light dark" />\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY.format(seal)}" />\n'
        f"<title>{escape(title)}</title>\n"
        '<link rel="icon" href="data:," />\n'  # else browsers ask the server for one
        f"<style>\n{_CSS.read_text(encoding='utf-8')}</style>\n</head>\n<body>\n<main>\n"
        + _with_contents("".join(sections))
        + f"</main>\n<script>{script}</script>\n</body>\n</html>\n"
    )


def html_of(markdown: str) -> str:
    """GitHub's markdown as HTML; HTML inside it is shown as text, a wide table scrolls in its box.

    >>> html_of("`a` <b>")
    '<p><code>a</code> &lt;b&gt;</p>\\n'
    """
    reader = MarkdownIt("commonmark", {"html": False, "xhtmlOut": True}).enable("table")
    tokens = reader.parse(markdown)
    for token in (inside for block in tokens for inside in block.children or ()):
        _point_to_pages(token)
    _mark_long_names(tokens)
    page = reader.renderer.render(tokens, reader.options, {})
    # A box that scrolls can be reached by keyboard only if it takes the focus.
    box = '<div class="wide" role="group" tabindex="0" aria-label="table">'
    page = re.sub("<table( [^>]*)?>", rf"{box}\n\g<0>", page)
    # A reader of screens is told what the numbers of a row and a column are.
    page = page.replace("<th>", '<th scope="col">').replace("<th ", '<th scope="col" ')
    page = re.sub(r'<th scope="col"([^>]*)></th>', r"<td\1></td>", page)
    page = page.replace("<pre>", '<pre tabindex="0">')
    return page.replace("</table>", "</table>\n</div>")


def _mark_long_names(tokens: Sequence[Token]) -> None:
    """Tables say whether their first or second column holds texts that need some room."""
    table: Token | None = None
    column = 0
    for token, content in pairwise(tokens):
        if token.type == "table_open":
            table = token
        elif token.type == "tr_open":
            column = 0
        elif token.type == "td_open" and table is not None:
            column += 1
            mark = f"long-{column}"
            known = str(table.attrGet("class") or "")
            if column <= 2 and len(content.content) > _LONG and mark not in known:
                table.attrJoin("class", mark)


def _point_to_pages(token: Token) -> None:
    """A link to another run's report leads from this page to that one's page."""
    target = str(token.attrGet("href") or "")
    if token.type == "link_open" and target.endswith("report.md") and ":" not in target:
        token.attrSet("href", target.removesuffix(".md") + ".html")


def _with_contents(body: str) -> str:
    """The same with a place to jump to at every section, and behind the title a list of them."""
    items: list[str] = []

    def placed(section: re.Match[str]) -> str:
        place = f"section-{len(items) + 1}"
        items.append(f'<li><a href="#{place}">{section[1]}</a></li>\n')
        return f'<h2 id="{place}">{section[1]}</h2>'

    body = re.sub("<h2>(.+?)</h2>", placed, body)
    if len(items) < _CONTENTS:
        return body
    head, end, rest = re.split(
        r'(</h1>\n(?:<div class="finding">.*?</div>\n)?)', body, maxsplit=1, flags=re.DOTALL
    )
    contents = f'<nav aria-label="sections">\n<ul>\n{"".join(items)}</ul>\n</nav>\n'
    return f"{head}{end}{contents}{rest}"
