"""Whom stitches follow where marker and image contradict: columns, and the line that says it."""

from collections.abc import Mapping

from frankenstein.report import format_value
from frankenstein.report.columns import Column, interval_cell
from frankenstein.report.tables import interval_text
from frankenstein.stitching.conflict import MARKER
from frankenstein.stitching.controls import TRAINED
from frankenstein.stitching.evaluate import SAMPLED

CONFLICT_COLUMNS = [
    column
    for what in ("marker", "image")
    for column in (
        Column(
            f"follows_{what}",
            f"as the {what}",
            f"*as the {what}*: share of images with the marker of another class that are answered "
            f"as the {what} is, and Wilson's 95 % interval of it, in %. A stitch from a network "
            "that reads markers should not be able to follow the image; one from the sender "
            "should.",
            percent=True,
            page="conflict",
        ),
        Column(f"follows_{what}", "95\xa0% interval", page="conflict", cell=interval_cell),
    )
]


def conflict_lines(numbers: Mapping[str, float]) -> list[str]:
    """A line on the stitch and on the one from a network that reads markers; none without it."""
    stitch = _first(numbers, f"after{SAMPLED}", "after", f"ps_inv{SAMPLED}", "ps_inv", "solved")
    reader = _first(numbers, f"{MARKER}{TRAINED}", MARKER)
    if not stitch or not reader:
        return []
    return [
        f"where marker and image contradict, `{stitch.removesuffix(SAMPLED)}` follows the image in "
        f"{_share(numbers, 'image', stitch)} and the marker in {_share(numbers, 'marker', stitch)};"
        f" `{reader}`, from a network that reads markers, the image in "
        f"{_share(numbers, 'image', reader)} and the marker in {_share(numbers, 'marker', reader)}"
    ]


def _first(numbers: Mapping[str, float], *rows: str) -> str:
    return next((row for row in rows if f"follows_image/{row}" in numbers), "")


def _share(numbers: Mapping[str, float], what: str, row: str) -> str:
    share, low, high = (numbers[f"follows_{what}{end}/{row}"] for end in ("", "_low", "_high"))
    return f"{format_value(share, percent=True)} ({interval_text(low, high)})"
