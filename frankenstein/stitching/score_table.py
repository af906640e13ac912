"""The numbers of `evaluate_stitches`: each said once, for reports, the terminal and studies."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType

from frankenstein.catalog import MEASURES, STITCHES
from frankenstein.data import ImageData
from frankenstein.networks.accuracy import below_chance_warnings
from frankenstein.report import Fold
from frankenstein.report.columns import (
    Column,
    FittingTable,
    difference_cell,
    filled_columns,
    interval_cell,
    margin_cell,
    markdown_columns,
    value_cell,
)
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.conflict_page import CONFLICT_COLUMNS, conflict_lines
from frankenstein.stitching.controls import CONTROLS, TRAINED, Controls
from frankenstein.stitching.depths import CKA, CUT, EXPLAINED
from frankenstein.stitching.evaluate import SAMPLED, WITHIN
from frankenstein.stitching.frauds import trained_control
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.same_maps import row_names, same_maps
from frankenstein.stitching.verdict import verdicts
from frankenstein.stitching.warnings import stitch_warnings

Numbers = Mapping[str, float]

_TRAINED_FRAUD = (
    "`{name}_trained`: the same, trained as `after` is; from a random start its units are put to "
    "mean 0 and standard deviation 1 first."
)
_ABOUT_FRAUDS = {
    "class_noise": "a random pattern for each class and as much noise in the sender's place, which "
    "knows the class and nothing else",
    "marker": "the sender's architecture trained on images, and shown images, with a bright square "
    "whose place tells the class",
    "random_labels": "the same architecture trained on random labels",
    "other_data": "the same trained on digits (where these are the data, on made-up images)",
    "pixels": "the image itself at the grid of the cut",
}
_FRAUDS = {
    row: line
    for name, about in _ABOUT_FRAUDS.items()
    for row, line in (
        (name, f"`{name}`, a fraud: {about}; solved as `solved` is."),
        (f"{name}{TRAINED}", _TRAINED_FRAUD.replace("{name}", name)),
    )
}
# What rows are, in order; words in braces are filled in.
ROWS = {
    "sender": "`sender`, `receiver`: the two networks by themselves.",
    "receiver": "",
    "before": "`before`: the stitch at its start.",
    "after": "`after`: the same stitch trained.",
    "ps_inv": "`ps_inv`: the affine map of least squared error from source to target, whatever "
    "family the stitch has and wherever it starts. (As a start, ps_inv is something else: the "
    "closed form of the stitch's own family.)",
    "solved": "`solved`: {solved} It is solved on the controls' images, so that it and `untrained` "
    "differ in the sender alone.",
    "solved_ps_inv": "`solved_ps_inv`: likewise by least squares.",
    "untrained": "`untrained`, the control of `solved`: the same from the same layer of senders "
    "with random weights (statistics of BatchNorms are counted on training images); {untrained} of "
    "them, each number a mean, each interval from the lowest end of theirs to the highest. What "
    "they reach needs no training of the sender.",
    "untrained_ps_inv": "`untrained_ps_inv`, the control of `solved_ps_inv`: from the same random "
    "senders by least squares.",
    f"untrained{TRAINED}": _TRAINED_FRAUD.replace("{name}", "untrained")
    + " Of the first of those senders.",
    **_FRAUDS,
    "identity": "`identity`, a control: the source handed on as it is.",
    "itself": "`itself`, a control: the receiver stitched to itself as it is, which loses nothing.",
    "itself_ps_inv": "`itself_ps_inv`, a control: the same by least squares, which should lose "
    "nothing either. Controls are solved on {solved_on} training images; they are not trained.",
}
_ON_SAMPLE = (
    "Where held-out images are thousands, controls are scored on a random sample of them. They "
    "stand in a table of their own, beside the receiver and the stitches on the same sample, whose "
    "names end in `_sampled`."
)

# Tables of the report, in order, with their headings.
_PAGE_TABLES = {
    "accuracy": "Accuracy and likeness",
    "answers": "Answers, beside the receiver's",
    "inside": "Inside the receiver",
    "together": "Who is right",
    "conflict": "Where marker and image contradict",
}
# In the order of every table, measures between. The terminal has one, of those with `terminal`.
_BEFORE_MEASURES = [
    Column("n", "n", "*n*: held-out images that it is scored on.", page="accuracy"),
    Column(
        "accuracy",
        "accuracy",
        "*accuracy*: share of held-out images that are told right.",
        percent=True,
        page="accuracy",
        terminal="accuracy",
    ),
    Column(
        "accuracy",
        "95\xa0% interval",
        "*95 % interval* in %: Wilson's, of one accuracy by itself. Two rows are of the same "
        "images, so they may differ for sure though these intervals overlap.",
        page="accuracy",
        terminal="accuracy",
        cell=interval_cell,
    ),
    Column(
        "accuracy_spread",
        "spread",
        "*spread*: standard deviation of the accuracy over untrained senders, in %.",
        percent=True,
        page="accuracy",
    ),
    Column(
        "stitching_penalty",
        "penalty",
        "*penalty*, the stitching penalty: the receiver's accuracy less this one.",
        percent=True,
        page="accuracy",
    ),
    Column(
        "stitching_penalty",
        "its 95\xa0% interval",
        "*its 95 % interval* in %: of a difference on the same images, from those that one of the "
        "two alone tells right (Bonett & Price 2012). Without 0 in it the two differ for sure.",
        page="accuracy",
        cell=difference_cell,
    ),
]


def _relative_cell(numbers: Numbers, key: str, row: str) -> float | None:
    """Nothing where the receiver itself is at chance, whatever it is divided by."""
    whole, chance = numbers.get("accuracy_low/receiver"), numbers.get("accuracy/most_frequent")
    at_chance = whole is not None and chance is not None and whole <= chance
    return None if at_chance else value_cell(numbers, key, row)


_AFTER_MEASURES = [
    Column(
        "directions",
        "directions",
        "*directions*: how many a CCA averages over, of stitched or target as fewer vary. A mean "
        "over few says nothing of the others: rows of unlike numbers are not to be held against "
        "each other.",
        page="accuracy",
    ),
    Column(
        "agreement",
        "agreement",
        "*agreement*: share of images with the same answer as the receiver's, right or wrong.",
        percent=True,
        page="answers",
        terminal="beside",
    ),
    Column(
        "relative_accuracy",
        "relative",
        "*relative*, the relative accuracy: accuracy over the receiver's; n/a where the receiver "
        "is not clearly above the most frequent answer, for a share of chance says nothing.",
        percent=True,
        page="answers",
        terminal="beside",
        cell=_relative_cell,
    ),
    Column("stitching_penalty", "penalty ±95\xa0%", terminal="beside", cell=margin_cell),
    Column(
        f"{EXPLAINED}@{CUT}",
        "R² at the cut",
        "*R² at the cut*: share of the target's variance that the stitched representation explains "
        "as it is: 1 for the target, 0 for its mean, below 0 for what is further away.",
        page="inside",
        terminal="inside",
    ),
    Column(
        f"final_{EXPLAINED}",
        "final R²",
        "*final R²*: the same at the penultimate layer, which answers are read from. It "
        "orders stitches where accuracy does not (Mai 2026, https://arxiv.org/abs/2603.12433).",
        page="inside",
        terminal="inside",
    ),
    Column(
        f"final_{CKA}",
        "final CKA",
        "*final CKA*: unbiased CKA of stitched with target there, per sample (of sentences the "
        "mean over tokens), from blocks of 64.",
        page="inside",
        terminal="inside",
    ),
    Column(
        WITHIN,
        "within classes",
        "*within classes*: unbiased CKA of stitched with target at the cut, `per_location` (of "
        "sentences the mean over tokens), once the mean of its class is taken off every image on "
        "both sides. Networks that tell the same classes apart look alike by that alone, and so "
        "does noise that depends on the class. That has about 0 here at a cut with one place or "
        "with very many, and keeps some with a few (about 0.1 at bn7 of Tiny-10): its pattern "
        "differs from place to place, and one mean is taken off all places of a class. Of a class "
        "with one held-out image it says how the places of that image differ. It is clear late in "
        "a network and weaker early, where a marker or the pixels themselves keep some of it.",
        page="inside",
        terminal="inside",
    ),
    Column(
        "outside",
        "outside",
        "*outside*: share of images whose representation at the cut the receiver would not have "
        "made. The score of one is the squared Mahalanobis distance of the means and standard "
        "deviations of its units over places from the receiver's own on {images} training images, "
        "with {floor} of the mean variance added in every direction. The receiver's own scores on "
        "every other held-out image set the threshold, their percentile {percentile}, and the "
        "images between are scored: the receiver's own share tells how exact that is. An accuracy "
        "that is reached outside is the receiver's end used on something new, and no sign that the "
        "two representations are alike (Balogh & Jelasity 2025, https://arxiv.org/abs/2412.11299). "
        "Task loss may bring `after` to 100 % where its CKA is 0.99: it moves the means of units, "
        "which a CKA does not feel, and directions in which the receiver hardly varies, which a "
        "CKA hardly weighs. Evaluate the run with another floor to see how far the shares move "
        "with what is added; the definition in full is in docs/stitching.md.",
        percent=True,
        page="inside",
        terminal="inside",
    ),
    Column(
        "how_far",
        "how far",
        "*how far*: the median of the roots of these scores, over the receiver's own median, which "
        "is about 1. The share outside saturates, at 100 % for most stitches that are trained by "
        "task loss; this does not, and tells which of them is further out.",
        page="inside",
        terminal="inside",
    ),
    *CONFLICT_COLUMNS,
    Column(
        "loss",
        "loss",
        "*loss*: cross entropy to the labels, mean over images, in nats; chance among K classes "
        "costs ln K, 0.693 of two and 2.303 of ten.",
        page="answers",
        terminal="beside",
    ),
    Column(
        "perplexity",
        "perplexity",
        "*perplexity*: exp(loss), of the next token of a sentence.",
        page="answers",
        terminal="right",
    ),
    Column(
        "cross_entropy",
        "cross entropy",
        "*cross entropy*: of the receiver's answers with these, in nats; least in the receiver's "
        "own row.",
        page="answers",
    ),
    Column(
        "both_right",
        "both right",
        "*both right*: share of images that this row's network and the receiver tell right.",
        percent=True,
        page="together",
        terminal="right",
    ),
    Column(
        "only_it_right",
        "only it",
        "*only it*: share that this row's network alone tells right.",
        percent=True,
        page="together",
        terminal="right",
    ),
    Column(
        "only_receiver_right",
        "only receiver",
        "*only receiver*: share that the receiver alone tells right.",
        percent=True,
        page="together",
        terminal="right",
    ),
    Column(
        "both_wrong",
        "both wrong",
        "*both wrong*: share that neither tells right.",
        percent=True,
        page="together",
        terminal="right",
    ),
    Column(
        "jensen_shannon",
        "divergence",
        "*divergence*: Jensen and Shannon's, of the receiver's answers and these, in nats: 0 for "
        "the same, 0.693 at most.",
        page="answers",
        terminal="right",
    ),
    Column(
        "normalized_disagreement",
        "normalized disagreement",
        "*normalized disagreement*: where the share of other answers than the receiver's lies "
        "between the least (0) and the most (1) that the two accuracies allow.",
        page="together",
    ),
    # Of two stitches, as a line of its own.
    Column("difference", "difference", percent=True, cell=difference_cell),
]
_SHARES = {column.key for column in (*_BEFORE_MEASURES, *_AFTER_MEASURES) if column.percent}
_APART = (
    "How far apart the accuracies of two stitches are, on the same images (of which those count "
    "that one of the two alone tells right):"
)


def columns_with(measures: Sequence[str]) -> list[Column]:
    """Every column of a run that is scored by these measures."""
    after = [column for column in _AFTER_MEASURES if column.key not in measures]
    return [*_BEFORE_MEASURES, *map(_measure_column, measures), *after]


def is_share(number: str) -> bool:
    """Whether a number of `summary.json` is a share, or an end of its interval: in per cent.

    >>> is_share("accuracy/after"), is_share("difference_low/after-before"), is_share("loss/after")
    (True, True, False)
    """
    what = number.partition("/")[0]
    for ending in ("_low", "_high", "_spread"):
        what = what.removesuffix(ending)
    return what in _SHARES


def score_title(what: str) -> str:
    """What tables call a score of stitches: "final R²" is `final_explained`.

    >>> score_title("final_explained"), score_title("accuracy"), score_title("unbiased_cka")
    ('final R²', 'accuracy', 'unbiased cka')
    """
    titles = {
        column.key: column.title for column in reversed((*_BEFORE_MEASURES, *_AFTER_MEASURES))
    }
    return titles.get(what, _title(what))


def shown_scores(
    numbers: Numbers,
    plan: StitchPlan,
    title: str,
    networks: Mapping[str, Mapping[str, Any]],  # their records, by role
) -> list[RenderableType]:
    """What the terminal shows of the stitches of a run, its warnings last.

    One table, of the columns that there is room for: 80 hold the first four or five.
    """
    same = same_maps(numbers, plan)
    first, *others = map(_measure_column, plan.measures) if plan.measures else [None]
    ordered = [*_BEFORE_MEASURES, first, *_AFTER_MEASURES, *others]
    columns = [one for one in ordered if one is not None and one.terminal]
    whole, *sampled = [
        {row: name for row, name in row_names(rows, same).items() if row != "itself"}
        for rows in tables_of(numbers)
    ]
    table = FittingTable(filled_columns(columns, numbers), numbers, [whole, *sampled])
    warnings = below_chance_warnings(numbers, int(numbers["n/receiver"]), networks)
    warnings += stitch_warnings(numbers, plan)
    return [
        f"{title}: {_counts(numbers, plan.measures)}",
        table,
        *([_sample(numbers)] if sampled else []),
        *few_directions(numbers, plan.measures),
        *differences(numbers, same),
        *conflict_lines(numbers),
        *(f"warning: {line}" for line in warnings),
    ]


def found_of(numbers: Numbers, plan: StitchPlan, data: ImageData) -> list[str]:
    """What each stitch shows, that of `after` first; nothing without controls."""
    same = same_maps(numbers, plan)
    first = same.get("after", "after")
    others = [kind for kind in KINDS if kind not in same and kind != first]
    trained = ["after"] if plan.trained_epochs else []
    return verdicts(numbers, [first, *others], trained, trained_control(plan, data))


def score_blocks(
    numbers: Numbers,
    plan: StitchPlan,
    controls: Controls,
    percentile: float = 95.0,  # of `off_distribution`
) -> list[str | Fold]:
    """All tables for a report, and words that unfold: a line on every row and column."""
    reference, tables = controls.reference, tables_of(numbers)
    words = {
        "solved": solved_words(plan),
        "images": f"{reference.examples:,}",
        "solved_on": f"{controls.solved_on:,}",
        "untrained": str(len(controls.untrained)),
        "floor": f"{reference.floor:g}",
        "percentile": f"{percentile:g}",
    }
    same = same_maps(numbers, plan)
    rows = [ROWS[row] for table in tables for row in table if row in ROWS]
    rows += [_ON_SAMPLE] if len(tables) > 1 else []
    blocks: list[str | Fold] = []
    for table, title in _PAGE_TABLES.items():
        columns = [one for one in columns_with(plan.measures) if one.page == table]
        if not (filled := filled_columns(columns, numbers)):
            continue
        known = [[row for row in some if _has_any(filled, numbers, row)] for some in tables]
        shown = [
            markdown_columns(columns, numbers, row_names(some, same)) for some in known if some
        ]
        about = _listed([one.about for one in filled], words)
        blocks += [f"## {title}", "\n\n".join(shown), Fold("How to read the columns", about)]
        if not blocks[3:]:
            blocks.append(Fold("What the rows are", _listed(rows, words)))
            if lines := differences(numbers, same):
                blocks.append(Fold("How far apart two stitches are", _apart(lines)))
        if table == "conflict":
            blocks += [f"{line[0].upper()}{line[1:]}." for line in conflict_lines(numbers)]
    return blocks


def _has_any(columns: Sequence[Column], numbers: Numbers, row: str) -> bool:
    return any(f"{column.key}/{row}" in numbers for column in columns)


def solved_words(plan: StitchPlan) -> str:
    """What a solved stitch of the plan's family is, and how one that is trained stands to it."""
    family, row = plan.family_in_words, STITCHES[plan.family_name]
    if row.from_sums and not row.affine:
        closed = f"the affine map in closed form, from which a stitch of the family {family} starts"
    else:
        closed = f"the closed form of the stitch's own family, {family}"
    trained = "One that is trained should come up to it."
    return f"{closed}. {trained if row.trainable else 'Nothing of this family is trained.'}"


def _apart(lines: Sequence[str]) -> str:
    return f"{_APART}\n\n{_listed(lines, {})}"


def rows_of(numbers: Numbers) -> list[str]:
    """The networks, stitches and controls that were scored, in order."""
    return [row for table in tables_of(numbers) for row in table]


def tables_of(numbers: Numbers) -> list[list[str]]:
    """The rows of each table, which are scored on the same images: all, and a sample of them."""
    sampled = [f"{row}{SAMPLED}" for row in ROWS]
    there = [row for row in (*sampled, *ROWS) if f"accuracy/{row}" in numbers]
    if not any(row in sampled for row in there):
        return [there]
    few = [row for row in there if row in sampled or row in CONTROLS]
    return [[row for row in there if row not in few], few]


def flattening_text(measures: Sequence[str]) -> str:
    """How these measures flatten stitched and target, each its own way.

    >>> flattening_text(["linear_cka", "mean_cca"]), flattening_text(["linear_cka", "mutual_knn"])
    ('per_location', 'per_location, mutual_knn per_sample')
    """
    how = {measure: MEASURES[measure].flattenings[0] for measure in measures}
    first = how[measures[0]]
    return ", ".join([first, *(f"{name} {one}" for name, one in how.items() if one != first)])


def few_directions(numbers: Numbers, measures: Sequence[str]) -> list[str]:
    """A line if a CCA of some rows is over fewer directions than that of others."""
    counts = {int(n) for name, n in numbers.items() if name.startswith("directions/")}
    titles = " and ".join(_title(measure) for measure in measures if MEASURES[measure].directions)
    if len(counts) < 2:
        return []
    return [
        f"{titles}: over {min(counts)} to {max(counts)} directions; rows of unlike numbers are not "
        "to be held against each other"
    ]


def differences(numbers: Numbers, same: Mapping[str, str] = {}) -> list[str]:
    """A line for any two stitches on how far apart their accuracies are; none for a single one.

    Of stitches that are the `same` map only the first counts.
    """
    return [
        f"{pair.replace('-', ' less ')}: {100 * value:+z.2f} %, "
        f"95 % interval {difference_cell(numbers, 'difference', pair)}"
        for key, value in numbers.items()
        for what, _, pair in [key.partition("/")]
        if what == "difference" and not set(pair.split("-")) & set(same)
    ]


def _measure_column(measure: str) -> Column:
    about = f"of stitched with target, `{flattening_text([measure])}`: {MEASURES[measure].about}"
    title = _title(measure)
    return Column(measure, title, f"*{title}*: {about}.", page="accuracy", terminal="accuracy")


def _title(measure: str) -> str:
    return measure.replace("_", " ")


def _counts(numbers: Numbers, measures: Sequence[str]) -> str:
    """Of how many images, and how measures flatten them."""
    flattened = f"; measures {flattening_text(measures)}" if measures else ""
    return f"{numbers['n/receiver']:,} held-out images{flattened}"


def _sample(numbers: Numbers) -> str:
    return (
        "below the line, controls and the stitches beside them: "
        f"{numbers[f'n/receiver{SAMPLED}']:,} of the images"
    )


def _listed(lines: Sequence[str], words: Mapping[str, str]) -> str:
    return "\n".join(f"- {line.format_map(words) if words else line}" for line in lines if line)
