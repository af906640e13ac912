"""Linear predictivity: how much of one representation a linear map reads off another."""

from functools import partial

import torch
from torch import Tensor

from frankenstein.accumulators.folds import Folds, folds_of
from frankenstein.accumulators.linear import least_squares, whitened_moments, whitener
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.small_sample import reduce_to_span, rotate_to_span, whiten_rows
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined


def r_squared(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Share in [0, 1] of y's variance that the least-squares affine map from x explains.

    On the examples that the map is fitted to; see `cross_validated_r_squared` for others. Not
    symmetric. NaN with a warning where a representation does not vary, and where examples are so
    few (N - 1 <= rank x) that anything is explained. An example that comes again counts as another
    one.

    Source: Kornblith et al. 2019, table 1, https://arxiv.org/abs/1905.00414.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    return _explained(whitened_moments(x, y, "x"), "r_squared", by="x", of="y")


def reverse_r_squared(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Share in [0, 1] of x's variance that y explains: `r_squared` the other way round."""
    return _explained(whitened_moments(x, y, "y"), "reverse_r_squared", by="y", of="x")


def cross_validated_r_squared(
    x: Tensor | Folds | Reservoir,
    y: Tensor | None = None,
    count: int = 5,  # parts, of two matrices; Folds are made of as many as they are
) -> Tensor:  # ()
    """Share of y's variance that least squares from x explains in examples not fitted to.

    At most 1; 0 where it predicts no better than the mean of the fitted examples, below 0 where
    worse. Every part of the examples is predicted from all others, and squares are summed over
    parts before the ratio. Where the fitted examples do not determine the map it is the one of
    minimum norm, so x may not predict itself. NaN with a warning where a representation does not
    vary, or a part is empty.

    Source: Stone 1974, https://doi.org/10.1111/j.2517-6161.1974.tb00994.x, with squared errors.
    Cost: no second pass: the moments of all others are sums of the other parts' moments.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    if not isinstance(x, Folds):
        x, y = reduce_to_span(x, y, partial(_basis, count), rotate_to_span)  # type: ignore[assignment]
    folds = folds_of(x, y, count)
    everything = folds.without()
    like = everything.covariance("xy")
    if reason := nothing_to_compare(everything):
        return undefined(like, "cross_validated_r_squared", reason)
    if min(part.n for part in folds.parts) == 0:
        reason = f"{everything.n} examples do not fill {len(folds.parts)} parts"
        return undefined(like, "cross_validated_r_squared", reason)
    wrong, total = like.new_zeros(()), like.new_zeros(())
    for i, part in enumerate(folds.parts):
        rest = folds.without(i)
        weight, bias = least_squares(rest)
        off = part.mean("y") - weight @ part.mean("x") - bias
        size = part.variance("y").sum() + (weight @ part.covariance("xx") * weight).sum()
        left = size - 2 * (weight.T * part.covariance("xy")).sum()
        left = in_range(left, 0, torch.inf, 1e-9 * size)
        wrong = wrong + part.n * (left + off.square().sum())
        shift = part.mean("y") - rest.mean("y")
        total = total + part.n * (part.variance("y").sum() + shift.square().sum())
    return 1 - wrong / total


def _basis(count: int, rows: Tensor) -> Tensor:
    """Few rows in fewer units, of which least squares predicts the same.

    Where examples do not determine the map the one of minimum norm counts, which a rotation alone
    does not change; where they do, rounding must not add a direction.
    """
    span = whiten_rows(rows)
    return span if span.shape[1] < len(rows) * (count - 1) // count - 1 else rotate_to_span(rows)


def _explained(moments: Moments, name: str, by: str, of: str) -> Tensor:
    cross = moments.covariance("xy")
    reason = nothing_to_compare(moments)
    white = whitener(moments, by)
    if not reason and moments.n - 1 <= white.shape[1]:
        reason = (
            f"{moments.n} examples are too few for {white.shape[1]} directions: "
            "they would explain anything"
        )
    if reason:
        return undefined(cross, name, reason)
    if by == "y":
        cross = cross.T
    explained = torch.linalg.vector_norm(white.T @ cross).square() / moments.variance(of).sum()
    return in_range(explained, rounding=1e-6)
