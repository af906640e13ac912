"""What a stitch shows, in a sentence or two: first on its page, before any table."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from frankenstein.report.tables import format_value
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.controls import TRAINED
from frankenstein.stitching.depths import CUT, EXPLAINED
from frankenstein.stitching.evaluate import SAMPLED, WITHIN
from frankenstein.stitching.frauds import FRAUDS, KNOWING

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
_MOVED = {f"{EXPLAINED}@{CUT}": "at the cut", f"final_{EXPLAINED}": "at the penultimate layer"}
_AT_CUT = {  # where accuracies cannot tell
    f"{EXPLAINED}@{CUT}": "R² at the cut",
    "unbiased_cka": "unbiased CKA at the cut",
}


def verdicts(
    numbers: Numbers,
    kinds: Sequence[str] = KINDS,
    trained: Collection[str] = (),
    advice: str = "",  # how a trained control is had, where there is none
) -> list[str]:
    """A line for every stitch that was scored beside controls.

    Each says its accuracy against the receiver and against the best control, how like the receiver
    it is within classes and at the penultimate layer against the controls, and what of that is
    beyond what senders reach that never learned the classes, and frauds that are told the labels.
    An accuracy is beyond a control if their 95 %
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
        open_as = None if likewise else advice
        line = _verdict(numbers, kind, likewise or controls, kind in trained, open_as)
        lines.append(line if controls == affine else line + _of_affine(numbers, affine))
    return lines


def _as(trained: bool, control: str) -> bool:
    return control.endswith(TRAINED) == trained


def is_told(control: str) -> bool:
    """Whether it knows the labels of the images that it is shown."""
    return control.removesuffix(TRAINED) in KNOWING


class _Beyond(NamedTuple):
    """What a number of a stitch is beyond."""

    ignorant: bool  # all senders that never learned the classes
    told: bool  # all frauds that are told the labels


def _verdict(
    numbers: Numbers, kind: str, controls: list[str], trained: bool, unlike: str | None
) -> str:
    sampled = f"{kind}{SAMPLED}"
    row = sampled if f"accuracy/{sampled}" in numbers else kind
    groups = [
        [one for one in controls if not is_told(one)],
        [one for one in controls if is_told(one)],
    ]
    parts = [_against_receiver(numbers, kind)]
    beyond: dict[str, _Beyond] = {}
    ignorant, best = (_best(numbers, some) for some in (groups[0], controls))
    clear = _Beyond(*(_above(numbers, row, _best(numbers, some)) for some in groups))
    on_same = (
        f" ({format_value(numbers[f'accuracy/{row}'], percent=True)} on the same images)"
        if row == sampled
        else ""
    )
    only = ", which is only solved" if unlike is not None else ""
    held = ignorant or best  # that frauds come up to the ceiling is no sign that it cannot tell
    lowest = min(numbers.get(f"accuracy/{one}", 0.0) for one in ("receiver", row, held))
    ceiling = lowest >= _CEILING and not _above(numbers, row, held)
    if ceiling:
        share = f"{format_value(numbers[f'accuracy/{held}'], percent=True)}{only}{on_same}"
        parts.append(f"accuracy cannot tell here, for the control `{held}` has {share}")
    else:
        beyond["accuracy"] = clear
        share = f"{format_value(numbers[f'accuracy/{best}'], percent=True)}{only}{on_same}"
        parts.append(f"{_stands(numbers, row, best)} the best control, `{best}` with {share}")
        if ignorant not in (best, ""):
            has = format_value(numbers[f"accuracy/{ignorant}"], percent=True)
            parts.append(
                f"{_stands(numbers, row, ignorant)} the best that never learned the classes, "
                f"`{ignorant}` with {has}"
            )
    for what, words in ((_AT_CUT if ceiling else {}) | _LIKENESS).items():
        if told := _likeness(numbers, what, row, groups):
            line, beyond[words] = told
            parts.append(f"{words} {line}")
    if ceiling and f"outside/{kind}" in numbers:
        mine, others = (format_value(numbers.get(f"outside/{k}"), True) for k in (kind, held))
        parts.append(f"outside {mine} (`{held}` {others})")
    moved = _moved(numbers, kind) if trained else ""
    said = _conclusion(beyond, unlike) if not groups[1] else _against_frauds(beyond)
    return f"`{kind}`: {'; '.join(parts)}. {said}{moved}"


def _likeness(
    numbers: Numbers, what: str, row: str, groups: Sequence[Sequence[str]]
) -> tuple[str, _Beyond] | None:
    """A likeness beside the control that is most like, and what it is beyond; None without one."""
    own = numbers.get(f"{what}/{row}", math.nan)
    found = [
        {
            control: value
            for control in some
            if not math.isnan(value := numbers.get(f"{what}/{control}", math.nan))
        }
        for some in groups
    ]
    theirs = found[0] | found[1]
    if math.isnan(own) or not theirs:
        return None
    most = max(theirs, key=theirs.__getitem__)
    spread = _spread(numbers, what, most)
    # Where the spread alone says that it is no difference, it is told.
    less = not _more_like(numbers, what, own, theirs) and own > theirs[most]
    told = f" ± {spread:.2f} over its senders" if less and spread else ""
    beyond = _Beyond(*(_more_like(numbers, what, own, some) for some in found))
    return f"{own:z.2f} (`{most}` {theirs[most]:z.2f}{told})", beyond


def _best(numbers: Numbers, controls: Sequence[str]) -> str:
    """The control of the highest accuracy; none of none."""
    return max(controls, key=lambda control: numbers[f"accuracy/{control}"], default="")


def _above(numbers: Numbers, one: str, other: str) -> bool:
    """Whether one accuracy is clearly above another, or there is no other."""
    return not other or numbers[f"accuracy_low/{one}"] > numbers[f"accuracy_high/{other}"]


def _stands(numbers: Numbers, row: str, control: str) -> str:
    if _above(numbers, row, control):
        return "clearly above"
    return "clearly below" if _above(numbers, control, row) else "not clearly above"


def _spread(numbers: Numbers, what: str, control: str) -> float:
    """Of the solved ones over senders: there are several of these."""
    return numbers.get(f"{what}_spread/{control.removesuffix(TRAINED)}", 0.0)


def _more_like(numbers: Numbers, what: str, own: float, theirs: Mapping[str, float]) -> bool:
    """Whether a likeness is above 0 and beyond the control that is most like, if there is one."""
    if not theirs:
        return own > 0
    most = max(theirs, key=theirs.__getitem__)
    return own > max(0.0, theirs[most] + max(_LEAST, _SPREADS * _spread(numbers, what, most)))


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


def _moved(numbers: Numbers, kind: str) -> str:
    """A sentence if the stitch was anywhere more like the target before it was trained."""
    told: dict[str, list[str]] = {"fell": [], "rose": []}
    for what, where in _MOVED.items():
        before, after = (numbers.get(f"{what}/{row}", math.nan) for row in ("before", kind))
        if abs(after - before) > _LEAST:
            line = f"{where} from {before:z.2f} to {after:z.2f}"
            told["rose" if after > before else "fell"].append(line)
    fell, rose = (f"{word} {' and '.join(lines)}" for word, lines in told.items())
    if not told["fell"]:
        return ""
    if told["rose"]:
        return f" By training R² {fell}, and {rose}."
    return f" Training made it less like the target: R² {fell}."


def _conclusion(beyond: Mapping[str, _Beyond], unlike: str | None) -> str:
    """What is beyond an untrained sender, where there are no frauds."""
    shown = [words for words, one in beyond.items() if one.ignorant]
    missing = [words for words, one in beyond.items() if not one.ignorant]
    if not shown:
        return "Nothing of that is beyond a sender that has learned nothing."
    if unlike is not None:
        but = (
            f" In {_and(missing)} it is not even beyond a control that is only solved."
            if missing
            else ""
        )
        return (
            "Whether that is beyond a sender that has learned nothing is open, for training lifts "
            f"such a control, too{unlike and f': {unlike}'}.{but}"
        )
    if not missing and "accuracy" in beyond:
        return "All of that is beyond a sender that has learned nothing."
    but = f"; not so: {_and(missing)}" if missing else ""
    return f"Beyond a sender that has learned nothing: {_and(shown)}{but}."


def _against_frauds(beyond: Mapping[str, _Beyond]) -> str:
    """What is beyond all controls, what beyond those alone that never learned the classes."""
    said = {
        "Beyond every control": [words for words, one in beyond.items() if all(one)],
        "Beyond senders that never learned the classes, and not beyond frauds that are told the "
        "labels": [words for words, one in beyond.items() if one.ignorant and not one.told],
        "Not beyond senders that never learned the classes": [
            words for words, one in beyond.items() if not one.ignorant
        ],
    }
    return " ".join(f"{what}: {_and(words)}." for what, words in said.items() if words)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
