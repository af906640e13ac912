"""The scores of `evaluate_stitches` as tables, and the words that say how to read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from frankenstein.catalog import MEASURES
from frankenstein.compare import CONTROLS
from frankenstein.report import markdown_table, rich_table

KINDS = ("before", "after", "ps_inv")
_WHOSE = ("sender", "receiver", *KINDS, *CONTROLS)
_SHARES = ("accuracy", "relative_accuracy", "agreement")
_ANSWERS = ("outside", "loss", "cross_entropy", "jensen_shannon")
_HITS = ("both_right", "only_it_right", "only_receiver_right", "both_wrong")
PERCENT = (*_SHARES, "stitching_penalty", "outside", *_HITS)
_CALLED = {  # where it is not the key
    "relative_accuracy": "relative",
    "stitching_penalty": "penalty",
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


def score_blocks(scores: Scores, measures: Sequence[str], family: str) -> list[str]:
    """All tables for a report, with a line on every row and column.

    `family` is that of the stitches, in words.
    """
    rows = [line for whose, line in _ROWS.items() if f"accuracy/{whose}" in scores]
    blocks = ["The rows of every table:\n\n" + "\n".join(rows).format(family=family)]
    hits = (*_HITS, "normalized_disagreement")
    for columns in ((*_SHARES, "stitching_penalty", *measures), _ANSWERS, hits):
        there = [column for column in columns if _present(scores, column)]
        lines = [_COLUMNS.get(column) or _measured(column) for column in there]
        blocks += [_markdown(scores, there), "\n".join(lines)]
    return blocks


def _table(scores: Scores, columns: Sequence[str], title: str) -> Table:
    rows, header = _rows(scores, columns)
    # One word a line: rich would narrow numbers before it breaks a header.
    header, percent = (
        [name.replace(" ", "\n") for name in names] for names in (header, map(_words, PERCENT))
    )
    return rich_table(rows, header, percent=percent, title=title)


def _markdown(scores: Scores, columns: Sequence[str]) -> str:
    rows, header = _rows(scores, columns)
    return markdown_table(rows, header, percent=[*map(_words, PERCENT)])


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


def _measured(measure: str) -> str:
    return f"- *{_words(measure)}*: of stitched with target: {MEASURES[measure].about}."


_ROWS = {
    "sender": "- `sender`, `receiver`: the two networks by themselves.",
    "before": "- `before`: the stitch at its start.",
    "after": "- `after`: the same stitch trained.",
    "ps_inv": "- `ps_inv`: the affine map of least squared error from source to target, whatever "
    "family the stitch has and wherever it starts. (As a start, `--init ps_inv` is something else: "
    "the closed form of the stitch's own family.)",
    "identity": "- `identity`, a control: the source handed on as it is.",
    "untrained": "- `untrained`, the control of the stitch: one of the same family, {family}, in "
    "its closed form, from the same layer of a sender with random weights. What it reaches needs "
    "no training of the sender.",
    "untrained_ps_inv": "- `untrained_ps_inv`, the control of `ps_inv`: from the same random "
    "sender by least squares.",
    "itself": "- `itself`, a control: the receiver stitched to itself as it is, which loses "
    "nothing.",
    "itself_ps_inv": "- `itself_ps_inv`, a control: the same by least squares, which should not. "
    "Controls are solved on some of the training images, and scored on a sample of the held-out "
    "ones where there are thousands; they are not trained.",
}
_COLUMNS = {
    "accuracy": "- *accuracy*: share of held-out images that are told right.",
    "relative_accuracy": "- *relative*, the relative accuracy: accuracy over the receiver's.",
    "agreement": "- *agreement*: share of images with the same answer as the receiver's, right or "
    "wrong.",
    "stitching_penalty": "- *penalty*, the stitching penalty: the receiver's accuracy less this "
    "one.",
    "outside": "- *outside*: share of images whose representation at the cut the receiver would "
    "not have made: the means and standard deviations of its units over places lie further "
    "(Mahalanobis) from those of training images than nearly all of the receiver's own do on "
    "held-out images. The receiver's own share tells how exact that is. An accuracy that is "
    "reached outside is the receiver's end used on something new, and no sign that the two "
    "representations are alike (Balogh & Jelasity 2025, https://arxiv.org/abs/2412.11299).",
    "loss": "- *loss*: cross entropy to the labels, mean over images, in nats; chance among ten "
    "classes costs 2.303.",
    "cross_entropy": "- *cross entropy*: of the receiver's answers with these, in nats; least in "
    "the receiver's own row.",
    "jensen_shannon": "- *divergence*: Jensen and Shannon's, of the receiver's answers and these, "
    "in nats: 0 for the same, 0.693 at most.",
    "both_right": "- *both right*: share of images that this row's network and the receiver tell "
    "right.",
    "only_it_right": "- *only it*: share that this row's network alone tells right.",
    "only_receiver_right": "- *only receiver*: share that the receiver alone tells right.",
    "both_wrong": "- *both wrong*: share that neither tells right.",
    "normalized_disagreement": "- *normalized disagreement*: where the share of other answers than "
    "the receiver's lies between the least (0) and the most (1) that the two accuracies allow.",
}
