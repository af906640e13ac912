"""A measure of every pair of layers, and one warning for all that have no value."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.measures.undefined import UndefinedSimilarityWarning
from frankenstein.shapes import ShapeError

_NAMED = 5  # layers and pairs that a warning names


def every_pair(
    measure: str,
    pair: Callable[[str, str], Any],  # what the measure takes of two layers
    rows: Sequence[str],
    columns: Sequence[str],
) -> tuple[Tensor, set[str]]:  # (L, M), and why some are NaN
    """A measure of every pair of layers."""
    values, reasons = [], set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UndefinedSimilarityWarning)
        for row in rows:
            for column in columns:
                try:
                    values.append(MEASURES[measure](pair(row, column)).double())
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
