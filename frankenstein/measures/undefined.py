"""What a measure gives for representations that it cannot compare: NaN, and why."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.catalog import MEASURES
from frankenstein.shapes import ShapeError

_NAMED = 5  # layers and pairs that a warning names


class UndefinedSimilarityWarning(UserWarning):
    """A similarity is NaN because it is not defined for this input; the message says why."""


def undefined(like: Tensor, measure: str, reason: str) -> Tensor:  # ()
    """NaN, and a warning that names the measure and the reason."""
    warnings.warn(f"{measure} is undefined: {reason}", UndefinedSimilarityWarning, stacklevel=3)
    return like.new_full((), float("nan"))


def in_range(
    value: Tensor,
    low: float = 0.0,
    high: float = 1.0,
    rounding: float | Tensor = 1e-9,
) -> Tensor:
    """Values that rounding took out of their range at its end; what is further out stays."""
    far = (value > high + rounding) | (value < low - rounding)
    return torch.where(far, value, value.clamp(low, high))


def nothing_to_compare(seen: Moments | Reservoir) -> str | None:
    """Why these representations cannot be compared, or None if they can.

    They must vary, and over three examples or more: any two pairs of points look alike.
    """
    varying = [_varies(seen, side) for side in "xy"]  # both: reading looks for NaN and Inf
    for name, varies in zip(("first", "second"), varying, strict=True):
        if not varies:
            return f"the {name} representation is the same for every example"
    n = seen.n_kept if isinstance(seen, Reservoir) else seen.n
    return f"{n} examples always look alike; it takes 3 or more" if n < 3 else None


def too_few(moments: Moments, rank_x: int, rank_y: int) -> str | None:
    """Why canonical correlations of so many directions mean nothing, or None if they do.

    Sums do not know which rows are the same: an example that comes again counts as another one.
    """
    if moments.n - 1 >= rank_x + rank_y:
        return None
    return (
        f"{moments.n} examples are too few for {rank_x} and {rank_y} directions: "
        "some correlations would be 1 whatever the data"
    )


def _varies(seen: Moments | Reservoir, side: str) -> bool:
    if isinstance(seen, Moments):
        return seen.cached(side, "varies", lambda: bool((seen.variance(side) > 0).any()))
    rows = seen.x if side == "x" else seen.y
    return bool((rows != rows[0]).any())


def every_pair(
    measure: str,
    pair: Callable[[str, str], Any],  # what the measure takes of two layers
    rows: Sequence[str],
    columns: Sequence[str],
) -> tuple[Tensor, set[str]]:  # (L, M), and why some are NaN
    """A measure of every pair of layers."""
    values, reasons = [], set()
    of_pair = MEASURES[measure].target
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UndefinedSimilarityWarning)
        for row in rows:
            for column in columns:
                try:
                    values.append(of_pair(pair(row, column)).double())
                except ShapeError as error:  # as of layers on different grids
                    values.append(torch.tensor(torch.nan, dtype=torch.float64))
                    reasons.add(str(error))
    for warning in caught:
        if issubclass(warning.category, UndefinedSimilarityWarning):
            reasons.add(str(warning.message).partition(" is undefined: ")[2])
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    device = next(value.device for value in values)
    stacked = torch.stack([value.to(device) for value in values])
    return stacked.view(len(rows), len(columns)), reasons


def warn_undefined(
    measure: str, values: Tensor, rows: Sequence[str], columns: Sequence[str], reasons: set[str]
) -> None:
    """One warning that names all layers and pairs whose value is NaN; none if none is."""
    lost = values.isnan().cpu()
    if not lost.any():
        return
    whole_rows, whole_columns = lost.all(1), lost.all(0)
    names = [f"{rows[i]!r} of the first network" for i in whole_rows.nonzero().flatten()]
    names += [f"{columns[j]!r} of the second" for j in whole_columns.nonzero().flatten()]
    rest = lost & ~whole_rows[:, None] & ~whole_columns
    names += [f"{rows[i]!r} with {columns[j]!r}" for i, j in rest.nonzero().tolist()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    why = "; ".join(sorted(reasons)[:_NAMED])
    warnings.warn(
        f"{measure} is undefined for {', '.join(names[:_NAMED])}{more}: {why}",
        UndefinedSimilarityWarning,
        stacklevel=3,
    )
