"""What a person should be warned of who reads the scores of a network or of a stitch."""

from collections.abc import Mapping
from typing import Any

from frankenstein.intervals import share_interval
from frankenstein.report import format_value

_TRAIN = "in train.py try more epochs, another -lr, or -opt adam"


def doubts(scores: Mapping[str, float], values: Mapping[str, Any]) -> list[str]:
    """A line if training fell short of what is solved, or a sender that learned nothing does too.

    One accuracy is clearly below another if their 95 % intervals do not meet. `values` are the
    options of the stitching run; nothing is said where there is no "after" among the scores.
    """
    if "accuracy/after" not in scores:
        return []
    why, what = [], "what it reaches is no sign of what the sender has learned"
    if (solved := _solved(scores, values)) and _below(scores, "after", solved):
        why.append(f"clearly below `{solved}` ({_share(scores, solved)})")
        what = "it is not its family's best; try " + (
            "a smaller -lr" if values["init"] == "ps_inv" else "-i ps_inv"
        )
    if "accuracy/untrained" in scores and not _below(scores, "untrained", "after"):
        why.append(f"not clearly above `untrained` ({_share(scores, 'untrained')})")
    said = f"`after` ({_share(scores, 'after')}) is {' and '.join(why)}: {what}"
    return [said] if why else []


def untaught(
    accuracy: float,
    most_frequent: float,  # accuracy of the best answer that is always the same
    n: int,  # images
    whose: str = "network",
    advice: str = _TRAIN,
) -> list[str]:
    """A line if a network is not clearly above an answer that is always the same."""
    if share_interval(accuracy, n)[0] > most_frequent:
        return []
    network, always = (format_value(one, percent=True) for one in (accuracy, most_frequent))
    return [
        f"the {whose} ({network}) is not clearly above the most frequent answer ({always}): it "
        f"has learned nothing that shows; {advice}"
    ]


def unlearned(scores: Mapping[str, float], images: int) -> list[str]:
    """A line for a sender and for a receiver that learned nothing.

    `scores` have "accuracy/sender" and so on, and "accuracy/most_frequent" of the best answer that
    is always the same; of what is not there nothing is said.
    """
    if "accuracy/most_frequent" not in scores:
        return []
    chance = scores["accuracy/most_frequent"]
    there = [whose for whose in ("sender", "receiver") if f"accuracy/{whose}" in scores]
    advice = f"take the data that it was trained on (-d), or {_TRAIN}"
    return [
        line
        for whose in there
        for line in untaught(scores[f"accuracy/{whose}"], chance, images, whose, advice)
    ]


def _solved(scores: Mapping[str, float], values: Mapping[str, Any]) -> str | None:
    """The row of the closed form of the stitch's own family, if there is one."""
    if "accuracy/solved" in scores:
        return "solved"
    row = "before" if values["init"] == "ps_inv" else "ps_inv"
    return row if f"accuracy/{row}" in scores else None


def _share(scores: Mapping[str, float], whose: str) -> str:
    return format_value(scores[f"accuracy/{whose}"], percent=True)


def _below(scores: Mapping[str, float], one: str, other: str) -> bool:
    return scores[f"accuracy_high/{one}"] < scores[f"accuracy_low/{other}"]
