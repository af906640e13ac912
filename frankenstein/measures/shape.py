"""How far two representations are from each other, turned onto each other or as they are."""

import math

import torch
from torch import Tensor

from frankenstein.accumulators.linear import whitener
from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.small_sample import reduce_to_span
from frankenstein.catalog import Function
from frankenstein.errors import UserError
from frankenstein.measures.undefined import in_range, nothing_to_compare, too_few, undefined
from frankenstein.measures.units import same_units

# Imported when first called: few of the measures that are beside these need it.
_assigned = Function("scipy.optimize:linear_sum_assignment")


def procrustes_similarity(
    x: Tensor | Moments,
    y: Tensor | None = None,
    alpha: float = 1.0,  # 1: turned only; 0: whitened first, as in CCA
) -> Tensor:  # ()
    """Cosine in [0, 1] of x with y, once y is turned onto x; 1 when y is x turned and rescaled.

    With alpha below 1 each side is first whitened in part: brought to unit total variance, its
    directions are multiplied by α + (1 - α) / √variance. NaN with a warning where a
    representation does not vary, and for an alpha below 1 also as for `mean_cca`.

    With alpha 1 it is the normalised Bures similarity of both centred Gram matrices, tr (K½ L K½)½
    over √(tr K tr L) (Tang et al. 2020, https://arxiv.org/abs/2003.11498): no other measure.

    Source: Williams et al. 2021, eqs. 8 and 11 with the partial whitening of section 2.2,
    https://arxiv.org/abs/2110.14739. Between alpha 0 and 1 the paper's value changes with the
    number of examples and their scale; unit total variance is what makes it free of both.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for no alpha in [0, 1].
    """
    return _cosine(moments_of(*reduce_to_span(x, y)), "procrustes_similarity", alpha)


def angular_shape_distance(
    x: Tensor | Moments,
    y: Tensor | None = None,
    alpha: float = 1.0,
) -> Tensor:  # ()
    """Angle in [0, π/2] radians of `procrustes_similarity`; 0 when y is x turned and rescaled.

    A metric: it obeys the triangle inequality. NaN as for the similarity. From sums, angles
    under 5e-7 cannot be told from 0 and are given as 0.

    Source: Williams et al. 2021, eq. 8, https://arxiv.org/abs/2110.14739.
    """
    cosine = _cosine(moments_of(*reduce_to_span(x, y)), "angular_shape_distance", alpha)
    return angle_of(cosine)


def size_and_shape_distance(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Root mean square over examples of |x_i - y_i|, centred and turned onto each other.

    At least 0; a metric, in the unit of the representations, whose size it feels. The side that has
    fewer units is filled with zeros. Its square is the Bures distance of both centred Gram matrices
    over N. NaN with a warning where a representation does not vary. From sums, distances under 3e-7
    of the size cannot be told from 0 and are given as 0.

    Source: Williams et al. 2021, eq. 7, https://arxiv.org/abs/2110.14739, over √N.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(*reduce_to_span(x, y))
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, "size_and_shape_distance", reason)
    size = moments.variance("x").sum() + moments.variance("y").sum()
    return root_of(size - 2 * torch.linalg.matrix_norm(cross, "nuc"), size)


def permutation_shape_distance(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Angle in [0, π] radians between x and y, centred, once units are paired one to one.

    A metric, the least over orders of units; the side that has fewer is filled with units that are
    0. NaN with a warning where a representation does not vary. From sums, angles under 5e-7 cannot
    be told from 0 and are given as 0.

    Source: Williams et al. 2021, eq. 8 with permutations for rotations, as in netrep's
    PermutationMetric, https://arxiv.org/abs/2110.14739.
    Cost: O(D² E) for the assignment, on the CPU.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, "permutation_shape_distance", reason)
    pairs = _assigned(cross.detach().cpu().numpy(), maximize=True)
    rows, columns = (torch.as_tensor(side, device=cross.device) for side in pairs)
    size = (moments.variance("x").sum() * moments.variance("y").sum()).sqrt()
    return angle_of(in_range(cross[rows, columns].sum() / size, -1))


def angle_of(cosine: Tensor) -> Tensor:
    """Its angle; 0 for a cosine that rounding alone tells from 1."""
    return torch.where(cosine > 1 - 1e-13, 1, cosine).arccos()


def root_of(squared: Tensor, size: Tensor) -> Tensor:
    """The root of a difference of numbers of this size; 0 where rounding is all that is left."""
    return torch.where(squared > 1e-13 * size, squared, 0).sqrt()


def _cosine(moments: Moments, name: str, alpha: float) -> Tensor:  # ()
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha lies between 0, as in CCA, and 1, Procrustes, got {alpha:g}")
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, name, reason)
    if alpha == 1:
        size = (moments.variance("x").sum() * moments.variance("y").sum()).sqrt()
        return in_range(torch.linalg.matrix_norm(cross, "nuc") / size)
    whites = [whitener(moments, side) for side in "xy"]
    if reason := too_few(moments, *(white.shape[1] for white in whites)):
        return undefined(cross, name, reason)
    if alpha:
        whites = [_partial(moments, side, alpha) for side in "xy"]
    size_x, size_y = (
        (white * (moments.covariance(side + side) @ white)).sum()
        for side, white in zip("xy", whites, strict=True)
    )
    aligned = torch.linalg.matrix_norm(whites[0].T @ cross @ whites[1], "nuc")
    return in_range(aligned / (size_x * size_y).sqrt(), rounding=1e-6)


def _partial(moments: Moments, side: str, alpha: float) -> Tensor:  # (D, rank)
    """Directions of a side at unit total variance, whitened in part; those of rounding left out."""
    total = moments.variance(side).sum()
    eigenvalues, vectors = torch.linalg.eigh(moments.covariance(side + side) / total)
    rounding = (len(eigenvalues) + math.sqrt(moments.n)) * torch.finfo(eigenvalues.dtype).eps
    kept = eigenvalues > rounding * eigenvalues[-1]
    return vectors[:, kept] * (alpha + (1 - alpha) * eigenvalues[kept].rsqrt()) / total.sqrt()


def mean_squared_distance(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean over rows of |x_i - y_i|², at least 0; 0 only where the two are the same.

    Defined for constant representations too.

    Source: the ℓ2 distance of Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.

    Raises:
        ShapeError: if x and y differ in their number of examples or units.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    same_units(moments)
    size = moments.variance("x").sum() + moments.variance("y").sum()
    spread = in_range(size - 2 * moments.covariance("xy").trace(), 0, torch.inf, 1e-9 * size)
    return spread + (moments.mean("x") - moments.mean("y")).square().sum()
