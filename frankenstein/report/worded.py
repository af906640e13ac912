"""What examples are called where they are no images."""

import re

from rich.table import Table

_OPTION = re.compile(r"‹(\w+)›")
_CODE = re.compile(r"(```.*?```|`[^`\n]*`)", re.DOTALL)


def worded(
    text: str,
    called: str,  # "images", "sentences", "examples"
) -> str:
    """The same of other examples than images, with options as a command line spells them.

    What is code stays as it is.

    >>> worded("an image of 9 images of `images.npy`", "sentences")
    'a sentence of 9 sentences of `images.npy`'
    >>> worded("say ‹data_root›", "images")
    'say --data-root'
    """
    text = _OPTION.sub(lambda found: "--" + found[1].replace("_", "-"), text)
    if called == "images":
        return text
    one = called.removesuffix("s")
    article = "an" if one[0] in "aeiou" else "a"
    parts = _CODE.split(text)
    for i in range(0, len(parts), 2):
        part = re.sub(r"\b([Aa])n image\b", rf"\g<1>{article[1:]} {one}", parts[i])
        parts[i] = re.sub(r"\bimages\b", called, re.sub(r"\bimage\b", one, part))
    return "".join(parts)


def shown_worded(one: object, called: str) -> object:
    """Likewise a line of a terminal, or a table's title."""
    if isinstance(one, Table) and isinstance(one.title, str):
        one.title = worded(one.title, called)
    return worded(one, called) if isinstance(one, str) else one
