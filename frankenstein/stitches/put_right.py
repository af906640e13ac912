"""What least squares shrinks, put right: the spread of every unit, or the whole covariance.

Least squares predicts the mean of what it cannot know, so that a stitched representation varies
less than the target: the receiver's end gets inputs that are too small. Both maps below are closed
forms on top of a solved stitch, from the same sums. They raise the squared error, and often the
accuracy.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch

_OPEN = 1e-12  # of the largest variance of what is predicted: directions that rounding made


@torch.no_grad()
def match_spread(stitch: Stitch, moments: Moments) -> Stitch:
    """Scale every target unit to the target's standard deviation, its mean kept; returns it.

    A unit that does not vary as stitched stays as it is.

    Raises:
        UserError: if the family fixes its scale.
    """
    stitch.check_moments(moments)
    weight, mean, covariance = _predicted(stitch, moments)
    predicted, wanted = covariance.diagonal(), moments.variance("y")
    varies = predicted > _OPEN * wanted
    scales = torch.where(varies, (wanted / torch.where(varies, predicted, 1)).sqrt(), 1.0)
    return _followed(stitch, torch.diag(scales), weight, mean, moments)


@torch.no_grad()
def match_covariance(stitch: Stitch, moments: Moments) -> Stitch:
    """Give the stitched representation the target's covariance by the least move; returns it.

    With P the stitched covariance and C the target's, the symmetric matrix
    P^(-1/2) (P^(1/2) C P^(1/2))^(1/2) P^(-1/2) is the optimal transport of one Gaussian to the
    other; the mean is kept. Directions in which nothing is predicted stay empty: a stitch of low
    rank has as much of C as its directions can hold.

    Source: Dowson & Landau 1982, https://doi.org/10.1016/0047-259X(82)90077-X; Peyré & Cuturi 2019,
    remark 2.31, https://arxiv.org/abs/1803.00567.

    Raises:
        UserError: if the family keeps target units apart.
    """
    stitch.check_moments(moments)
    weight, mean, covariance = _predicted(stitch, moments)
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > _OPEN * values[-1].clamp(min=0)
    basis, root = vectors[:, kept], values[kept].sqrt()
    within = root[:, None] * (basis.T @ moments.covariance("yy") @ basis) * root
    squares, turn = torch.linalg.eigh(within)
    middle = (turn * squares.clamp(min=0).sqrt()) @ turn.T
    matrix = basis @ (middle / torch.outer(root, root)) @ basis.T
    return _followed(stitch, (matrix + matrix.T) / 2, weight, mean, moments)


PUT_RIGHT: Mapping[str, Callable[[Stitch, Moments], Stitch]] = {
    "spread": match_spread,
    "covariance": match_covariance,
}


def _predicted(stitch: Stitch, moments: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Its weight in float64, and mean and covariance of what it makes of x."""
    weight, bias = stitch.affine_map()
    weight = weight.to(moments.mean("x"))
    mean = weight @ moments.mean("x") + (0 if bias is None else bias.to(weight))
    return weight, mean, weight @ moments.covariance("xx") @ weight.T


def _followed(
    stitch: Stitch, matrix: Tensor, weight: Tensor, mean: Tensor, moments: Moments
) -> Stitch:
    return stitch.follow(matrix, mean - matrix @ weight @ moments.mean("x"))
