"""Similarity unit by unit: which unit of one representation does what a unit of the other does?"""

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.catalog import Function
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined
from frankenstein.shapes import ShapeError

# Imported when first called: few of the measures that are beside these need it.
_assigned = Function("scipy.optimize:linear_sum_assignment")


def correlation_matrix(moments: Moments) -> Tensor:  # (D, E)
    """Pearson correlation in [-1, 1] of every unit of x with every unit of y; NaN for dead ones."""
    scale = {
        side: torch.where(moments.variance(side) > 0, moments.variance(side), torch.nan).rsqrt()
        for side in "xy"
    }
    correlation = scale["x"][:, None] * moments.covariance("xy") * scale["y"]
    return in_range(correlation, -1)


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
    if reason := nothing_to_compare(moments):
        return undefined(diagonal, "unit_correlation", reason)
    if diagonal.isnan().all():
        return undefined(diagonal, "unit_correlation", "every unit is dead on one side at least")
    return diagonal.nanmean()


def best_match_correlation(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean over units of y of the largest correlation that a unit of x has with it, in [-1, 1].

    A unit of x may be the best for many. Not symmetric. Dead units of either side are left out;
    NaN with a warning where a representation does not vary.

    Source: the semi-matching of Li et al. 2016, https://arxiv.org/abs/1511.07543.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), "best_match_correlation", reason)
    return _live(moments).amax(0).mean()


def matched_correlation(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean correlation in [-1, 1] of units paired one to one so that it is as large as can be.

    The side that has fewer units is paired as a whole. Dead units of either side are left out; NaN
    with a warning where a representation does not vary.

    Source: the bipartite matching of Li et al. 2016, https://arxiv.org/abs/1511.07543.
    Cost: O(D² E) for the assignment, on the CPU.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), "matched_correlation", reason)
    correlation = _live(moments)
    pairs = _assigned(correlation.detach().cpu().numpy(), maximize=True)
    rows, columns = (torch.as_tensor(side, device=correlation.device) for side in pairs)
    return correlation[rows, columns].mean()


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


def _live(moments: Moments) -> Tensor:  # (live D, live E)
    """Correlations of the units that vary."""
    live_x, live_y = moments.variance("x") > 0, moments.variance("y") > 0
    return correlation_matrix(moments)[live_x][:, live_y]
