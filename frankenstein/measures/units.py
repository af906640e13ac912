"""Similarity unit by unit: does unit i of one representation do what unit i of the other does?"""

import torch
from torch import Tensor

from frankenstein.measures.undefined import undefined
from frankenstein.moments import Moments, moments_of
from frankenstein.shapes import ShapeError


def correlation_matrix(moments: Moments) -> Tensor:  # (D, E)
    """Pearson correlation in [-1, 1] of every unit of x with every unit of y; NaN for dead ones."""
    scale = {
        side: torch.where(moments.variance(side) > 0, moments.variance(side), torch.nan).rsqrt()
        for side in "xy"
    }
    correlation = scale["x"][:, None] * moments.covariance("xy") * scale["y"]
    return correlation.clamp(-1, 1)


def unit_correlation(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean over units of the correlation of unit i with unit i, in [-1, 1].

    A unit that is dead on either side has no correlation and is left out of the mean; NaN with
    a warning where none is left.

    Source: Li et al. 2016, https://arxiv.org/abs/1511.07543.

    Raises:
        ShapeError: if x and y differ in their number of examples or units.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    same_units(moments)
    diagonal = correlation_matrix(moments).diagonal()
    if diagonal.isnan().all():
        return undefined(diagonal, "unit_correlation", "every unit is dead on one side at least")
    return diagonal.nanmean()


def same_units(moments: Moments) -> None:
    """Refuse representations with different numbers of units.

    Raises:
        ShapeError: if they differ.
    """
    d, e = moments.covariance("xy").shape
    if d != e:
        raise ShapeError(
            f"unit i must have its like: x has {d} units and y has {e}; use a measure that is "
            "free of the basis, such as unbiased_cka"
        )
