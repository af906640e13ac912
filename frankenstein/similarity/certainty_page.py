"""How sure the values of a comparison are: columns, sentences and a table for other programs."""

import csv
import io
from collections.abc import Mapping

from torch import Tensor

from frankenstein.report.labelled import LabelledMatrix
from frankenstein.similarity.plan import ComparePlan
from frankenstein.similarity.resampling import Certainty

_LEVEL = 0.05


def certainty_columns(certainty: Certainty | None, divisor: float = 1.0) -> dict[str, Tensor]:
    """What is known of a value besides itself, by column, in the order shown."""
    if certainty is None:
        return {}
    columns = {"of the kept": certainty.value / divisor}
    if certainty.low is not None and certainty.high is not None:
        columns |= {"low": certainty.low / divisor, "high": certainty.high / divisor}
    if certainty.null_mean is not None and certainty.p_value is not None:
        columns |= {"null mean": certainty.null_mean / divisor, "p": certainty.p_value}
    if certainty.family_p is not None and certainty.calibrated is not None:
        several = certainty.family_p.numel() > 1  # of one value it is its p
        columns |= {"family p": certainty.family_p} if several else {}
        columns |= {"calibrated": certainty.calibrated}
    return columns


def explain_columns(
    plan: ComparePlan, certainties: Mapping[str, Certainty], count: int, called: str
) -> list[str]:
    """A paragraph on how to read these columns; nothing if there are none."""
    if not certainties:
        return []
    kept = next(iter(certainties.values())).examples
    fewer, of_all = kept < count, f"all {count} {called}"
    if fewer:
        of_all = f"{kept} of the {count} {called}, drawn uniformly"
    sentences = [
        f"`of the kept` is the measure of {of_all}; the columns behind it are of these {called}, "
        "too."
    ]
    if plan.bootstrap:
        sentences.append(
            f"`low` to `high` is a 95 % interval over examples: percentiles of {plan.bootstrap} "
            "random halves of them. A half holds no example twice, and halves spread as much as "
            "samples of full size that are drawn with replacement. The percentiles are moved so "
            "that the mean of the halves is the value. The interval is for what the measure gives "
            "on average on so many examples, its bias included."
        )
        if fewer:
            sentences.append(
                f"It is as wide as for {kept} {called}: wider than the whole value deserves."
            )
    if plan.permutations:
        sentences.append(
            f"`null mean` is the mean over {plan.permutations} shuffles of the receiver's "
            "examples, which leave the two nothing in common. `p` is the share of shuffles that "
            "are at least as alike, the value itself counted as one: "
            f"{1 / (plan.permutations + 1):.4g} is the least that so many can give, and means at "
            "most that. It holds for each pair by itself. `family p` is the share of shuffles in "
            "which any pair of this table is as alike (Westfall & Young 1993): of two "
            f"unrelated ones at most one in twenty has a pair of {_LEVEL} or less. `calibrated` "
            "is max(0, (value - t) / (perfect - t)), where "
            f"t is what a value must exceed for a family p of {_LEVEL} (Gröger, Wen & Brbić 2026, "
            "https://arxiv.org/abs/2602.14486): 0 says nothing, 1 is a representation with itself."
        )
    return [" ".join(sentences)]


def certainty_in_short(certainty: Certainty, called: str) -> str:
    """A line for the terminal."""
    parts = []
    if certainty.low is not None and certainty.high is not None:
        widths = (certainty.high - certainty.low).nan_to_num(0)
        parts.append(f"95 % intervals up to {float(widths.max()):.3f} wide")
    if certainty.null_mean is not None and certainty.family_p is not None:
        low, high = (round(end, 3) + 0.0 for end in finite_range(certainty.null_mean))
        above = int((certainty.family_p > _LEVEL).sum())
        parts.append(f"shuffled examples give {low:.3f} to {high:.3f} on average")
        many = certainty.family_p.numel()
        parts.append(f"{above} of {many} pairs may be chance (family p > {_LEVEL})")
    return f"of {certainty.examples} kept {called}: {'; '.join(parts)}"


def clears(certainty: Certainty | None) -> Tensor | None:  # (L, M) bool
    """Which values are above what chance gives any of them; None if it was not asked."""
    if certainty is None or certainty.family_p is None:
        return None
    return certainty.family_p <= _LEVEL


def certainty_csv(
    matrices: Mapping[str, LabelledMatrix], certainties: Mapping[str, Certainty]
) -> str:
    """One line for each pair of each measure: long, as data frames like it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [*certainty_columns(next(iter(certainties.values())))]
    head = [name.replace(" ", "_") for name in names]
    writer.writerow(["measure", "sender_layer", "receiver_layer", "value", *head, "kept"])
    for measure, matrix in matrices.items():
        certainty = certainties[measure]
        columns = [matrix.values, *certainty_columns(certainty).values()]
        numbers = [column.tolist() for column in columns]
        for i, row in enumerate(matrix.rows):
            for j, name in enumerate(matrix.columns):
                cells = [repr(column[i][j]) for column in numbers]
                writer.writerow([measure, row, name, *cells, certainty.examples])
    return text.getvalue()


def finite_range(values: Tensor) -> tuple[float, float]:
    """The least and the largest of values that are numbers; NaN if none is."""
    known = values[values.isfinite()]
    if not len(known):
        return float("nan"), float("nan")
    return float(known.min()), float(known.max())
