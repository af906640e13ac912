"""The scores of `evaluate_stitches` as tables, and the words that say how to read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table

from frankenstein.catalog import MEASURES
from frankenstein.networks.doubts import doubts, unlearned
from frankenstein.report import markdown_table, rich_table
from frankenstein.stitching.controls import CONTROLS, Controls

KINDS = ("before", "after", "ps_inv")
_WHOSE = ("sender", "receiver", *KINDS, *CONTROLS)
_HITS = ("both_right", "only_it_right", "only_receiver_right", "both_wrong")
# The tables of a report, the first of which has the measures, too.
_ACCURACY = ("n", "accuracy", "accuracy_ends", "stitching_penalty", "stitching_penalty_ends")
_ANSWERS = ("relative_accuracy", "agreement", "loss", "cross_entropy", "jensen_shannon", "outside")
_TOGETHER = (*_HITS, "normalized_disagreement")
# Those of the terminal are as wide as 80 columns let them be.
_BESIDE = ("agreement", "relative_accuracy", "penalty_and_margin", "outside", "loss")
_IN_SHORT = (*_HITS, "jensen_shannon")
_SHARES = ("accuracy", "stitching_penalty", "difference")
PERCENT = (
    *(f"{share}{end}" for share in _SHARES for end in ("", "_low", "_high")),
    *("relative_accuracy", "agreement", "outside", *_HITS),
)
_OF = {"penalty_and_margin": "stitching_penalty"}
_CALLED = {  # where it is not the key
    "accuracy_ends": "95\xa0% interval",
    "relative_accuracy": "relative",
    "stitching_penalty": "penalty",
    "stitching_penalty_ends": "its 95\xa0% interval",
    "penalty_and_margin": "penalty (%)",
    "jensen_shannon": "divergence",
    "only_it_right": "only it",
    "only_receiver_right": "only receiver",
}
_FEW = "a mean over few says nothing of the others"
Scores = Mapping[str, float]


def shown(
    scores: Scores, measures: Sequence[str], title: str, values: Mapping[str, Any]
) -> list[RenderableType]:
    """What the terminal shows of the stitches of a run with these options."""
    if not scores:  # one process of several, which the first speaks for
        return []
    told = [*unlearned(scores, int(scores["n/receiver"])), *doubts(scores, values)]
    warned = [f"warning: {line}" for line in told]
    table, few = score_table(scores, measures, title), few_directions(scores, measures)
    return [table, *few, *answer_tables(scores), *apart(scores), *warned]


def score_table(scores: Scores, measures: Sequence[str], title: str) -> Table:
    """Accuracy and similarity for the terminal; it fits 80 columns with three measures."""
    counts = {scores[f"n/{whose}"] for whose in _there(scores)} - {scores["n/receiver"]}
    said = f"{scores['n/receiver']:,} held-out images"
    said += "".join(f", {n:,} of them for controls" for n in counts)
    said += f"; measures {flattening_text(measures)}" if measures else ""
    return _table(scores, ["accuracy", "accuracy_ends", *measures], f"{title}\n{said}")


def flattening_text(measures: Sequence[str]) -> str:
    """How these measures flatten stitched and target, each its own way.

    >>> flattening_text(["linear_cka", "mean_cca"]), flattening_text(["linear_cka", "mutual_knn"])
    ('per_location', 'per_location, mutual_knn per_sample')
    """
    how = {measure: MEASURES[measure].flattenings[0] for measure in measures}
    first = how[measures[0]]
    return ", ".join([first, *(f"{name} {one}" for name, one in how.items() if one != first)])


def few_directions(scores: Scores, measures: Sequence[str]) -> list[str]:
    """A line if a CCA of some rows is over fewer directions than that of others."""
    keys = {whose: f"directions/{whose}" for whose in _there(scores)}
    found = {whose: int(scores[key]) for whose, key in keys.items() if key in scores}
    most = max(found.values(), default=0)
    fewer = ", ".join(f"{n} of {whose}" for whose, n in found.items() if n < most)
    called = " and ".join(_words(measure) for measure in measures if MEASURES[measure].directions)
    return [f"{called}: of {most} directions, but {fewer}: {_FEW}"] if fewer else []


def answer_tables(scores: Scores) -> list[Table]:
    """How the answers compare with the receiver's, for the terminal."""
    return [
        _table(scores, _BESIDE, "beside the receiver"),
        _table(scores, _IN_SHORT, "who is right, it or the receiver, and how far answers diverge"),
    ]


def apart(scores: Scores) -> list[str]:
    """A line for any two stitches on how far apart their accuracies are; none for a single one."""
    pairs = [key.partition("/")[2] for key in scores if key.startswith("difference/")]
    return [
        f"{pair.replace('-', ' less ')}: {100 * scores[f'difference/{pair}']:+.2f} %, "
        f"95 % interval {_ends(scores, 'difference', pair)}"
        for pair in pairs
    ]


def interval_text(low: float, high: float, signed: bool = False) -> str:
    """An interval of a share, in per cent.

    >>> interval_text(0.8873, 0.9), interval_text(-0.001, 0.02, signed=True)
    ('88.73 to 90.00', '-0.10 to +2.00')
    """
    return " to ".join(f"{100 * end:{'+' if signed else ''}.2f}" for end in (low, high))


def score_blocks(
    scores: Scores,
    measures: Sequence[str],
    family: str,  # of the stitches, in words
    controls: Controls,
    percentile: float = 95.0,  # of `compare.outside`
) -> list[str]:
    """All tables for a report, with a line on every row and column."""
    typical = controls.typical
    known = {
        "family": family,
        "images": f"{typical.examples:,}",
        "floor": f"{typical.floor:g}",
        "percentile": f"{percentile:g}",
    }
    rows = [_ROWS[whose] for whose in _there(scores) if whose in _ROWS]
    blocks = ["The rows of every table:\n\n" + "\n".join(rows).format_map(known)]
    for columns in ((*_ACCURACY, *measures, "directions"), _ANSWERS, _TOGETHER):
        there = [column for column in columns if _present(scores, column)]
        lines = [_COLUMNS[c].format_map(known) if c in _COLUMNS else _measured(c) for c in there]
        blocks += [_markdown(scores, there), "\n".join(filter(None, lines))]
    if lines := apart(scores):
        blocks.insert(3, f"{_APART}\n\n" + "\n".join(f"- {line}" for line in lines))
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
        [whose, *(_cell(scores, column, whose) for column in columns)] for whose in _there(scores)
    ]
    return rows, ["", *map(_words, columns)]


def _there(scores: Scores) -> list[str]:
    return [whose for whose in _WHOSE if f"accuracy/{whose}" in scores]


def _cell(scores: Scores, column: str, whose: str) -> Any:
    if column.endswith("_ends"):
        return _ends(scores, column.removesuffix("_ends"), whose)
    if column != "penalty_and_margin":
        return scores.get(f"{column}/{whose}")
    penalty, ends = scores[f"stitching_penalty/{whose}"], _of(scores, "stitching_penalty", whose)
    return ends and f"{100 * penalty:.2f} ± {50 * (ends[1] - ends[0]):.2f}"


def _ends(scores: Scores, share: str, whose: str) -> str | None:
    ends = _of(scores, share, whose)
    return ends and interval_text(*ends, signed=share != "accuracy")


def _of(scores: Scores, share: str, whose: str) -> tuple[float, float] | None:
    """The ends of an interval, if there is one."""
    low, high = (scores.get(f"{share}_{end}/{whose}") for end in ("low", "high"))
    return None if low is None or high is None else (low, high)


def _present(scores: Scores, column: str) -> bool:
    key = _OF.get(column, column.removesuffix("_ends"))
    return any(name.startswith(f"{key}/") for name in scores)


def _words(column: str) -> str:
    return _CALLED.get(column, column.replace("_", " "))


def _measured(measure: str) -> str:
    about, flattening = MEASURES[measure].about, flattening_text([measure])
    return f"- *{_words(measure)}*: of stitched with target, `{flattening}`: {about}."


_ROWS = {
    "sender": "- `sender`, `receiver`: the two networks by themselves.",
    "before": "- `before`: the stitch at its start.",
    "after": "- `after`: the same stitch trained.",
    "ps_inv": "- `ps_inv`: the affine map of least squared error from source to target, whatever "
    "family the stitch has and wherever it starts. (As a start, `--init ps_inv` is something else: "
    "the closed form of the stitch's own family.)",
    "solved": "- `solved`, a control: the closed form of the stitch's own family, {family}, which "
    "one that is trained should come up to.",
    "identity": "- `identity`, a control: the source handed on as it is.",
    "untrained": "- `untrained`, the control of the stitch: one of the same family, {family}, in "
    "its closed form, from the same layer of a sender with random weights. What it reaches needs "
    "no training of the sender.",
    "untrained_ps_inv": "- `untrained_ps_inv`, the control of `ps_inv`: from the same random "
    "sender by least squares.",
    "itself": "- `itself`, a control: the receiver stitched to itself as it is, which loses "
    "nothing.",
    "itself_ps_inv": "- `itself_ps_inv`, a control: the same by least squares, which should not. "
    "Controls are solved on {images} training images, and scored on a sample of the held-out ones "
    "where there are thousands; they are not trained.",
}
_APART = (
    "How far apart the accuracies of two stitches are, on the same images (of which those count "
    "that one of the two alone tells right):"
)
_COLUMNS = {
    "n": "- *n*: held-out images that it is scored on.",
    "accuracy": "- *accuracy*: share of held-out images that are told right.",
    "accuracy_ends": "- *95 % interval* in %: Wilson's, of one accuracy by itself. As two rows are "
    "of the same images, they may differ for sure though these intervals meet.",
    "relative_accuracy": "- *relative*, the relative accuracy: accuracy over the receiver's.",
    "agreement": "- *agreement*: share of images with the same answer as the receiver's, right or "
    "wrong.",
    "stitching_penalty": "- *penalty*, the stitching penalty: the receiver's accuracy less this "
    "one.",
    "stitching_penalty_ends": "- *its 95 % interval* in %: of a difference on the same images, "
    "from those that one of the two alone tells right (Bonett & Price 2012). Without 0 in it "
    "the two differ for sure.",
    "directions": "- *directions*: how many a CCA averages over, of stitched or target as fewer "
    "vary. A mean over few says nothing of the others: rows of unlike numbers are not to be held "
    "against each other.",
    "outside": "- *outside*: share of images whose representation at the cut the receiver would "
    "not have made. The score of one is the squared Mahalanobis distance of the means and standard "
    "deviations of its units over places from the receiver's own on {images} training images, with "
    "{floor} of the mean variance added in every direction. The receiver's own scores on every "
    "other held-out image set the threshold, their percentile {percentile}, and the images between "
    "are scored: the receiver's own share tells how exact that is. An accuracy that is reached "
    "outside is the receiver's end used on something new, and no sign that the two representations "
    "are alike (Balogh & Jelasity 2025, https://arxiv.org/abs/2412.11299). Task loss may bring "
    "`after` to 100 % where its CKA is 0.99: it moves the means of units, which a CKA does not "
    "feel, and directions in which the receiver hardly varies, which a CKA hardly weighs. How far "
    "the shares move with what is added, `frankenstein evaluate RUN --floor` says; the definition "
    "in full is in docs/stitching.md.",
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
