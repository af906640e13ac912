"""The table of paired differences on a page of many runs, and the same as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence

from frankenstein.report import Fold, format_value, markdown_table
from frankenstein.stitching.score_table import is_share
from frankenstein.studies.means import Mean
from frankenstein.studies.paired import PairedDifference

_MANY = 12  # rows that a page shows unasked, at most
_HEAD = ["group", "less", "score", "mean", "low", "high", "n", "networks"]


def difference_blocks(differences: Sequence[PairedDifference], verb: str) -> Iterator[str | Fold]:
    """How to read the table, and the table, which unfolds if it is long; nothing of none."""
    if not differences:
        return
    scores = [*dict.fromkeys(score for one in differences for score in one.means)]
    header = ["group", "less", "pairs", *scores]
    rows = [
        [
            one.group,
            one.less,
            max(mean.n for mean in one.means.values()),
            *(_cell(one.means.get(score), score) for score in scores),
        ]
        for one in differences
    ]
    yield (
        "Groups that differ in one field and have the same networks are held against each other "
        "network by network: the mean of the differences, and ± half of its 95 % interval, by "
        "leaving out one network at a time where they are in several runs. What networks differ in "
        "falls out of it: it tells two groups apart whose own intervals overlap. "
        f"`{verb}-differences.csv` has the ends of the intervals."
    )
    table = markdown_table(rows, header, right=scores)
    yield Fold(f"{len(rows)} paired differences", table) if len(rows) > _MANY else table


def differences_csv(differences: Sequence[PairedDifference]) -> str:
    """A line for each two groups and score."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for one in differences:
        for score, mean in one.means.items():
            ends = ["" if math.isnan(x) else x for x in (mean.value, mean.low, mean.high)]
            writer.writerow([one.group, one.less, score, *ends, mean.n, mean.networks])
    return text.getvalue()


def _cell(mean: Mean | None, score: str) -> str | None:
    if mean is None or math.isnan(mean.value):
        return None
    share = is_share(score)
    text = f"{'+' * (mean.value > 0)}{format_value(mean.value, share)}"
    if math.isfinite(mean.margin):
        text = f"{text.removesuffix(' %')} ± {format_value(mean.margin, share)}"
    return text
