"""What a stitch shows, in a sentence or two: first on its page, before any table."""

import math
from collections.abc import Collection, Mapping, Sequence

from frankenstein.report.tables import format_value
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.controls import TRAINED
from frankenstein.stitching.depths import CUT, EXPLAINED
from frankenstein.stitching.evaluate import SAMPLED, WITHIN
from frankenstein.stitching.frauds import FRAUDS

Numbers = Mapping[str, float]

# What knows nothing of what the sender has learned. `identity`, `itself` and `solved` do.
IGNORANT = (
    *("untrained", f"untrained{TRAINED}"),
    *(f"{name}{ending}" for name in FRAUDS for ending in ("", TRAINED)),
)
# The affine map of least squares from such a sender; absent where the others are that, too.
AFFINE = "untrained_ps_inv"
_SPREADS = 2  # standard deviations of a control over its senders that are no difference
_LEAST = 0.01  # of a likeness that is a difference: what its two digits can show
_CEILING = 0.99  # accuracies from which none can be told from a better one
_LIKENESS = {  # in words, by number
    WITHIN: "likeness within classes",
    f"final_{EXPLAINED}": "R² at the penultimate layer",
}
_FELL = {f"{EXPLAINED}@{CUT}": "at the cut", f"final_{EXPLAINED}": "at the penultimate layer"}
_AT_CUT = {  # where accuracies cannot tell
    f"{EXPLAINED}@{CUT}": "R² at the cut",
    "unbiased_cka": "unbiased CKA at the cut",
}


def verdicts(
    numbers: Numbers, kinds: Sequence[str] = KINDS, trained: Collection[str] = ()
) -> list[str]:
    """A line for every stitch that was scored beside controls.

    Each says its accuracy against the receiver and against the best control, how like the receiver
    it is within classes and at the penultimate layer against the controls, and what of that is
    beyond what senders that know nothing reach. An accuracy is beyond a control if their 95 %
    intervals do not overlap, on the same images; a likeness if it is above 0, and above the
    control's mean by 0.01 and by more than two standard deviations over its senders. Where the
    receiver, the stitch and the best control are all at the ceiling, accuracy is said to tell
    nothing, and the likeness at the cut stands first.

    Controls are of the stitch's own family: `ps_inv` is held against an affine map, and any other
    stitch against those of the run's family; where that is not affine, what an affine map reaches
    is said behind, as what it is.

    Kinds that are `trained` are held against controls whose stitch is trained likewise, others
    against solved ones. Without the former nothing of a trained stitch is called beyond them,
    for training lifts a control, too.
    """
    of_family = [row for row in IGNORANT if f"accuracy/{row}" in numbers]
    affine = [AFFINE] if f"accuracy/{AFFINE}" in numbers else []
    lines = []
    for kind in kinds:
        if not of_family or f"accuracy/{kind}" not in numbers:
            continue
        controls = affine if affine and kind == "ps_inv" else of_family
        likewise = [one for one in controls if _as(kind in trained, one)]
        line = _verdict(numbers, kind, likewise or controls, kind in trained, not likewise)
        lines.append(line if controls == affine else line + _of_affine(numbers, affine))
    return lines


def _as(trained: bool, control: str) -> bool:
    return control.endswith(TRAINED) == trained


def _verdict(numbers: Numbers, kind: str, controls: list[str], trained: bool, unlike: bool) -> str:
    sampled = f"{kind}{SAMPLED}"
    row = sampled if f"accuracy/{sampled}" in numbers else kind
    parts = [_against_receiver(numbers, kind)]
    beyond: dict[str, bool] = {}
    best = max(controls, key=lambda control: numbers[f"accuracy/{control}"])
    clear = numbers[f"accuracy_low/{row}"] > numbers[f"accuracy_high/{best}"]
    share = format_value(numbers[f"accuracy/{best}"], percent=True)
    share += ", which is only solved" if unlike else ""
    on_same = (
        f" ({format_value(numbers[f'accuracy/{row}'], percent=True)} on the same images)"
        if row == sampled
        else ""
    )
    lowest = min(numbers.get(f"accuracy/{one}", 0.0) for one in ("receiver", row, best))
    ceiling = lowest >= _CEILING and not clear
    if ceiling:
        parts.append(f"accuracy cannot tell here, for the control `{best}` has {share}{on_same}")
    else:
        beyond["accuracy"] = clear
        parts.append(
            f"{'clearly above' if clear else 'not clearly above'} the best control, "
            f"`{best}` with {share}{on_same}"
        )
    for what, words in ((_AT_CUT if ceiling else {}) | _LIKENESS).items():
        own = numbers.get(f"{what}/{row}", math.nan)
        theirs = {
            control: value
            for control in controls
            if not math.isnan(value := numbers.get(f"{what}/{control}", math.nan))
        }
        if math.isnan(own) or not theirs:
            continue
        most = max(theirs, key=theirs.__getitem__)
        solved = most.removesuffix(TRAINED)  # of which there are several
        spread = numbers.get(f"{what}_spread/{solved}", 0.0)
        beyond[words] = own > max(0.0, theirs[most] + max(_LEAST, _SPREADS * spread))
        # Where the spread alone says that it is no difference, it is told.
        told = f" ± {spread:.2f} over its senders" * (not beyond[words] and own > theirs[most])
        parts.append(f"{words} {own:.2f} (`{most}` {theirs[most]:.2f}{told if spread else ''})")
    if ceiling and f"outside/{kind}" in numbers:
        mine, others = (format_value(numbers.get(f"outside/{k}"), True) for k in (kind, best))
        parts.append(f"outside {mine} (`{best}` {others})")
    fell = _fallen(numbers, kind) if trained else ""
    return f"`{kind}`: {'; '.join(parts)}. {_conclusion(beyond, unlike)}{fell}"


def _of_affine(numbers: Numbers, controls: Sequence[str]) -> str:
    return "".join(
        f" `{row}`, the affine map of least squares from such a sender and no stitch of this kind, "
        f"has {format_value(numbers[f'accuracy/{row}'], percent=True)}."
        for row in controls
    )


def _against_receiver(numbers: Numbers, kind: str) -> str:
    share = format_value(numbers[f"accuracy/{kind}"], percent=True)
    low, high = (
        numbers.get(f"stitching_penalty_{end}/{kind}", math.nan) for end in ("low", "high")
    )
    points = 100 * abs(numbers[f"stitching_penalty/{kind}"])
    if low > 0:
        return f"{share} right, {points:.1f} points below the receiver"
    if high < 0:
        return f"{share} right, {points:.1f} points above the receiver"
    return f"{share} right, not clearly other than the receiver"


def _fallen(numbers: Numbers, kind: str) -> str:
    """A sentence if the stitch was more like the target before it was trained."""
    both = {
        where: (numbers.get(f"{what}/before", math.nan), numbers.get(f"{what}/{kind}", math.nan))
        for what, where in _FELL.items()
    }
    told = [
        f"{where} from {before:.2f} to {after:.2f}"
        for where, (before, after) in both.items()
        if before - after > _LEAST
    ]
    return f" Training made it less like the target: R² fell {' and '.join(told)}." if told else ""


def _conclusion(beyond: Mapping[str, bool], unlike: bool) -> str:
    shown = [words for words, yes in beyond.items() if yes]
    missing = [words for words, yes in beyond.items() if not yes]
    if not shown:
        return "Nothing of that is beyond a sender that has learned nothing."
    if unlike:
        but = (
            f" In {' and '.join(missing)} it is not even beyond a control that is only solved."
            if missing
            else ""
        )
        return (
            "Whether that is beyond a sender that has learned nothing is open, for training lifts "
            f"such a control, too: ‹controls› all trains it, on a data set of images by name.{but}"
        )
    if not missing and "accuracy" in beyond:
        return "All of that is beyond a sender that has learned nothing."
    but = f"; not so: {' and '.join(missing)}" if missing else ""
    return f"Beyond a sender that has learned nothing: {' and '.join(shown)}{but}."
