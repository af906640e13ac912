"""What each stitch and each control of a run has right, on the same images, as a figure."""

import csv
import io
from collections.abc import Mapping

from frankenstein.report import Picture
from frankenstein.report.dots import Dot, dots
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.evaluate import SAMPLED
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.same_maps import row_names, same_maps
from frankenstein.stitching.score_table import tables_of
from frankenstein.stitching.verdict import AFFINE, IGNORANT, is_told

Numbers = Mapping[str, float]

_NETWORKS = ("sender", "receiver")
_GROUPS = (
    "stitch of this run",
    "control: a sender that never learned the classes",
    "control: a fraud that is told the labels",
    "other control",
)
_CAPTION = (
    "Accuracy of every stitch and every control of this run on the same {n} held-out images. "
    "{sample}A stitch says something of what the sender has learned where it is clearly above the "
    "controls whose sender never learned the classes, or is told the labels: what they reach needs "
    "none of it. One that is trained is held against those that are. Near the receiver's line "
    "nothing is lost. Whiskers are 95 % intervals, of *untrained* over all its senders. What each "
    "row is stands below."
)
_SAMPLE = (
    "They are a random sample of the {n}, of which controls are scored; what the stitches have on "
    "all of them is in the first table. "
)


def accuracy_picture(numbers: Numbers, plan: StitchPlan) -> Picture:
    """A dot with its interval for every row that is scored on the images of the controls."""
    scored = {row.removesuffix(SAMPLED): row for row in tables_of(numbers)[-1]}
    names = row_names([row for row in scored if row not in _NETWORKS], same_maps(numbers, plan))
    rows = {name: _dot(numbers, scored[row], row) for row, name in names.items()}
    lines = {one: numbers[f"accuracy/{scored[one]}"] for one in _NETWORKS if one in scored}
    n, whole = (f"{numbers[f'n/{row}']:,.0f}" for row in (scored["receiver"], "receiver"))
    sample = _SAMPLE.format(n=whole) if n != whole else ""
    return Picture(
        "accuracy",
        dots(rows, _GROUPS, lines, f"accuracy, n = {n}"),
        _CAPTION.format(n=n, sample=sample),
        csv=_csv(numbers, [*scored.values()]),
    )


def _dot(numbers: Numbers, scored: str, row: str) -> Dot:
    place = 0 if row in KINDS else 2 if is_told(row) else 1 if row in (*IGNORANT, AFFINE) else 3
    value, low, high = (numbers[f"accuracy{end}/{scored}"] for end in ("", "_low", "_high"))
    return Dot(value, low, high, _GROUPS[place])


def _csv(numbers: Numbers, rows: list[str]) -> str:
    """A line for each: its name in `summary.json`, accuracy, ends of its interval, images."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "accuracy", "low", "high", "n"])
    for row in rows:
        keys = ("accuracy", "accuracy_low", "accuracy_high", "n")
        writer.writerow([row, *(f"{numbers[f'{key}/{row}']:g}" for key in keys)])
    return text.getvalue()
