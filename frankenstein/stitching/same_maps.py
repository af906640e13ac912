"""Stitches of a run that are one and the same map: tables and figures show it once, and say so."""

from collections.abc import Mapping

from frankenstein.runs.fields import KINDS
from frankenstein.stitching.evaluate import SAMPLED
from frankenstein.stitching.plan import StitchPlan


def same_maps(numbers: Mapping[str, float], plan: StitchPlan) -> dict[str, str]:
    """{`after`: `before`, ...}: every row that is the map of an earlier row, and which row that is.

    Without training `after` is `before`; an affine stitch that starts at its closed form starts at
    `ps_inv`. A row is told apart all the same if one of its numbers differs
    by more than rounding.

    >>> plan = StitchPlan(sender="a", receiver="b", sender_layer="x", receiver_layer="y",
    ...                   init="ps_inv", epochs=0)
    >>> numbers = {f"accuracy/{kind}": 0.5 for kind in ("before", "after", "ps_inv")}
    >>> same_maps(numbers, plan)
    {'after': 'before', 'ps_inv': 'before'}
    """
    same = set()
    if not plan.trained_epochs:
        same.add("after")
    if plan.init == "ps_inv" and plan.family_name == "affine":
        same.add("ps_inv")
    rows: dict[str, str] = {}
    for ending in ("", SAMPLED):
        first = KINDS[0] + ending
        scores = _scores(numbers, first)
        rows |= {
            f"{kind}{ending}": first
            for kind in KINDS
            if kind in same and scores and _scores(numbers, f"{kind}{ending}") == scores
        }
    return rows


def row_names(rows: list[str], same: Mapping[str, str]) -> dict[str, str]:
    """The rows that are shown, with what each is called.

    >>> row_names(["receiver", "before", "after"], {"after": "before"})
    {'receiver': 'receiver', 'before': 'before = after'}
    >>> row_names(["before_sampled", "after_sampled"], {"after_sampled": "before_sampled"})
    {'before_sampled': 'before = after, sampled'}
    """
    together: dict[str, list[str]] = {}
    for row in rows:
        together.setdefault(same.get(row, row), []).append(row)
    return {first: _joined(names) for first, names in together.items()}


def _joined(names: list[str]) -> str:
    if len(names) > 1 and all(name.endswith(SAMPLED) for name in names):
        return f"{_joined([name.removesuffix(SAMPLED) for name in names])}, sampled"
    return " = ".join(names)


def _scores(numbers: Mapping[str, float], row: str) -> dict[str, str]:
    """The numbers of a row as text without rounding's last digits, in which NaN equals NaN."""
    return {
        key.removesuffix(row): f"{value:.9g}"
        for key, value in numbers.items()
        if key.endswith(f"/{row}")
    }
