"""Warnings for those who read the scores of a stitch."""

from collections.abc import Mapping
from typing import Any

from frankenstein.report.tables import format_value


def stitch_warnings(scores: Mapping[str, float], values: Mapping[str, Any]) -> list[str]:
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
