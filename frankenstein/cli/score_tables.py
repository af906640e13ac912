"""The scores of `evaluate_stitches` as tables, and the words that say how to read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from frankenstein.compare import CONTROLS
from frankenstein.report import markdown_table, rich_table

KINDS = ("before", "after", "ps_inv")
_WHOSE = ("sender", "receiver", *KINDS, *CONTROLS)
_SHARES = ("accuracy", "relative_accuracy", "agreement")
_ANSWERS = ("outside", "loss", "cross_entropy", "jensen_shannon")
_HITS = ("both_right", "only_it_right", "only_receiver_right", "both_wrong")
_PERCENT = (*_SHARES, "outside", *_HITS)
_CALLED = {  # where it is not the key
    "relative_accuracy": "relative",
    "jensen_shannon": "divergence",
    "only_it_right": "only it",
    "only_receiver_right": "only receiver",
}
Scores = Mapping[str, float]


def score_table(scores: Scores, measures: Sequence[str], title: str) -> Table:
    """Accuracy and similarity for the terminal; it fits 80 columns with three measures."""
    return _table(scores, [*_SHARES, *measures], title)


def answer_tables(scores: Scores) -> list[Table]:
    """How the answers compare with the receiver's, for the terminal."""
    return [
        _table(scores, _ANSWERS, "beside the receiver"),
        _table(scores, _HITS, "who is right, it or the receiver"),
    ]


def score_blocks(scores: Scores, measures: Sequence[str]) -> list[str]:
    """All tables and how to read them, for a report."""
    blocks = [_markdown(scores, [*_SHARES, *measures])]
    blocks += [_CONTROLS] if _present(scores, "outside") else []
    blocks += [_markdown(scores, _ANSWERS), _ABOUT_ANSWERS]
    blocks += [_OUTSIDE] if _present(scores, "outside") else []
    return [*blocks, _markdown(scores, _HITS), _ABOUT_HITS]


def _table(scores: Scores, columns: Sequence[str], title: str) -> Table:
    rows, header = _rows(scores, columns)
    # One word a line: rich would narrow numbers before it breaks a header.
    header, percent = (
        [name.replace(" ", "\n") for name in names] for names in (header, map(_words, _PERCENT))
    )
    return rich_table(rows, header, percent=percent, title=title)


def _markdown(scores: Scores, columns: Sequence[str]) -> str:
    rows, header = _rows(scores, columns)
    return markdown_table(rows, header, percent=[*map(_words, _PERCENT)])


def _rows(scores: Scores, columns: Sequence[str]) -> tuple[list[list[Any]], list[str]]:
    """A row each for sender, receiver, the stitches and the controls that there are."""
    columns = [column for column in columns if _present(scores, column)]
    rows = [
        [whose, *(scores.get(f"{column}/{whose}") for column in columns)]
        for whose in _WHOSE
        if f"accuracy/{whose}" in scores
    ]
    return rows, ["", *map(_words, columns)]


def _present(scores: Scores, column: str) -> bool:
    return any(key.startswith(f"{column}/") for key in scores)


def _words(column: str) -> str:
    return _CALLED.get(column, column.replace("_", " "))


_CONTROLS = (
    "Controls, on a sample of the images where there are thousands: `identity` hands the source on "
    "as it is; `untrained` is least squares from the same layer of a sender with random weights: "
    "what it reaches needs no training of the sender; `itself` is the receiver stitched to itself "
    "as it is, which loses nothing, and `itself_ps_inv` by least squares, which should not."
)
_ABOUT_ANSWERS = (
    "Loss is the cross entropy to the labels; cross entropy is that of the receiver's answers with "
    "the row's (its least is the receiver's own row), and divergence is Jensen and Shannon's of "
    "the two (0 to 0.693): means over images, in nats."
)
_OUTSIDE = (
    "`outside` is the share of images whose representation at the cut the receiver would not have "
    "made: the means and standard deviations of its units over places lie further (Mahalanobis) "
    "from those of training images than nearly all of the receiver's own do on held-out images. "
    "The receiver's own share tells how exact that is. An accuracy that is reached outside is the "
    "receiver's end used on something new, and no sign that the two representations are alike "
    "(Balogh & Jelasity 2025, https://arxiv.org/abs/2412.11299)."
)
_ABOUT_HITS = (
    "Hits: how often both are right, only it (the row's network), only the receiver, or neither."
)
