"""Least squares from covariances: right where units are dead, dependent or of unlike size too."""

import math
import warnings
from functools import partial

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.small_sample import (
    by_rows,
    directions,
    reduce_to_span,
    rotate_to_span,
    whiten_rows,
)
from frankenstein.errors import NearlyDependentWarning
from frankenstein.shapes import per_location

_UNSURE = 1e-11  # of the largest eigenvalue: known to few digits
_ROUNDED = 1e-12  # what is left where units of float32 depend on each other
_BY_ROWS = 1e-8  # where rows are at hand, and six digits are not enough
TIED = 1e-9  # of the largest: between rounding, of float32 too, and what data tell apart


def whitener(
    moments: Moments,
    side: str,  # "x" or "y"
) -> Tensor:  # (D, rank)
    """Columns V with Vᵀ C V = 1, spanning all that varies; rank is C's numerical rank.

    C is brought to unit diagonal first, so a unit of size 1e-8 counts like one of size 1, and
    directions under (D + √n)·2⁻⁵² of the largest eigenvalue are taken for rounding: sums over n
    rows leave some 0.2·√n·2⁻⁵² where units are linearly dependent. So a direction in which units
    differ by a share e of them is known to some 2⁻⁵²/e² of itself: to 1e-5 for e = 1e-5, and a
    warning names the side where e is under 3e-6 (of float32, whose own rounding leaves up to 1e-6
    in dependent units, where it is above that, too). Beyond that limit, an e of some 3e-7 over
    thousands of rows and 1e-6 over a million, such units are dependent to sums. The warning still
    comes down to half of it; below that it may be rounding.
    """
    return moments.cached(side, "whitener", lambda: _whitener(moments, side))


def _whitener(moments: Moments, side: str) -> Tensor:
    if _few(moments, side):
        variance = moments.variance(side)
        scale = torch.where(variance > 0, variance, torch.inf).rsqrt()
        rows = moments.rows[side] * scale
        among, squares = directions(rows)
        return scale[:, None] * (rows.T @ (among * math.sqrt(moments.n) / squares))
    scale, eigenvalues, vectors = _spectrum(moments, side)
    rounding = (len(scale) + math.sqrt(moments.n)) * torch.finfo(eigenvalues.dtype).eps
    kept = eigenvalues > rounding * eigenvalues[-1:].clamp(min=0)
    if kept.any() and moments.n > len(scale):
        # Of those that are dropped, too: dependent units leave a sixth of the limit, no more.
        more = eigenvalues > rounding / 2 * eigenvalues[-1]
        least = float((eigenvalues[more][0] / eigenvalues[-1]).detach())
        if (0 if moments.precise else _ROUNDED) < least < _UNSURE:
            warnings.warn(NearlyDependentWarning(side, math.sqrt(least)), stacklevel=2)
    return scale[:, None] * (vectors[:, kept] * eigenvalues[kept].rsqrt())


def _spectrum(moments: Moments, side: str) -> tuple[Tensor, Tensor, Tensor]:
    """What units are scaled by, and eigenvalues and vectors of their correlations."""

    def make() -> tuple[Tensor, Tensor, Tensor]:
        variance = moments.variance(side)
        scale = torch.where(variance > 0, variance, torch.inf).rsqrt()
        correlations = scale[:, None] * moments.covariance(side + side) * scale
        return scale, *torch.linalg.eigh(correlations)

    return moments.cached(side, "spectrum of correlations", make)


def whitened_moments(
    x: Tensor | Moments | Reservoir,
    y: Tensor | None = None,
    whitened: str = "xy",  # sides of which all that is asked is what no invertible map changes
) -> Moments:
    """Moments of both; of a side that is nearly dependent, its whitened rows, if these are at hand.

    Rows tell apart what sums do not: see `directions`.
    """
    as_x, as_y = (whiten_rows if side in whitened else rotate_to_span for side in "xy")
    if by_rows(x, y):
        return moments_of(*reduce_to_span(x, y, as_x, as_y))
    moments = moments_of(x, y)
    if y is None or isinstance(x, Moments | Reservoir) or moments.n == 0:
        return moments
    rows = [per_location(x), per_location(y)]
    moments = moments.frozen()
    if rows[0].requires_grad or rows[1].requires_grad or not _vary(moments):
        return moments
    unsure = [side in whitened and _nearly_dependent(moments, side) for side in "xy"]
    if not any(unsure):
        return moments
    return moments_of(*(whiten_rows(z) if u else z for z, u in zip(rows, unsure, strict=True)))


def _vary(moments: Moments) -> bool:
    return all(bool((moments.variance(side) > 0).any()) for side in "xy")


def _nearly_dependent(moments: Moments, side: str) -> bool:
    """Whether sums may have lost a direction, or hold one to few digits."""
    scale, eigenvalues, _ = _spectrum(moments, side)
    alive = int((scale > 0).sum())
    return bool((eigenvalues < _BY_ROWS * eigenvalues[-1]).sum() > len(scale) - alive)


def rank_of(moments: Moments, side: str) -> int:
    """Directions in which a side varies, as `whitener` counts them."""
    return moments.cached(side, "rank", lambda: whitener(moments, side).shape[1])


def ridge_whitener(
    moments: Moments,
    side: str,  # "x" or "y"
    ridge: float,  # of the mean variance of the directions that vary
) -> Tensor:  # (D, D)
    """Columns V with Vᵀ (C + λ 1) V = 1, where λ is `ridge` times C's trace over its rank."""
    return moments.cached(side, ("ridge", ridge), lambda: _ridge_whitener(moments, side, ridge))


def _ridge_whitener(moments: Moments, side: str, ridge: float) -> Tensor:
    covariance = moments.covariance(side + side)
    penalty = ridge * moments.variance(side).sum() / max(rank_of(moments, side), 1)
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    return vectors * (eigenvalues.clamp(min=0) + penalty).rsqrt()


def least_squares(
    moments: Moments,
) -> tuple[Tensor, Tensor]:  # weight (E, D), bias (E,)
    """The affine map of least squared error from x to y; the one of minimum norm if many are.

    Equal to `numpy.linalg.lstsq` on the centred rows, in float64, unless units of x are nearly
    dependent: see `whitener` for how far, and for the warning. (torch's own `lstsq` is not
    used: its default driver is silently wrong where rows do not determine the answer.)
    Cost: O(D³ + D² E) after the sums; of N < D rows O(N² (D + E) + N D E).
    """
    made = _by_rows if _few(moments, "x") else _by_sums
    weight = moments.cached("xy", "least squares", partial(made, moments))
    return weight, moments.mean("y") - weight @ moments.mean("x")


def predicted_directions(
    moments: Moments,
    weight: Tensor,  # (E, D)
    count: int,
) -> Tensor:  # (E, count)
    """The leading principal directions of what a map predicts of y, largest entries positive.

    Those that hold under 1e-12 of the variance of the first are rounding's: `completed` states
    others. (Which of directions of equal variance come out is left open.)
    """
    if _few(moments, "y"):
        basis, small = torch.linalg.qr(weight @ moments.rows["x"].T)
        turn, sizes, _ = torch.linalg.svd(small)
        variance, found = sizes.square(), basis @ turn[:, : len(sizes)]
    else:
        predicted = weight @ moments.covariance("xx") @ weight.T
        variance, found = (part.flip(-1) for part in torch.linalg.eigh(predicted))
    found = found[:, variance > 1e-12 * variance[0]][:, :count]
    return completed(found * pointed(found), count - found.shape[1])


def completed(
    basis: Tensor,  # (D, K), orthonormal
    count: int,
) -> Tensor:  # (D, K + count)
    """An orthonormal basis with further directions, which follow from the space that it spans.

    Each is the part outside, of length 1, of the unit that lies furthest outside; of equals the
    first. Beside units alone these are the other units in their order.
    """
    for _ in range(count):
        unit = first_best(1 - basis.square().sum(1)[None])
        new = basis.new_zeros(len(basis), 1)
        new[unit] = 1
        for _ in range(2):  # the second time for what rounding left
            new = new - basis @ (basis.T @ new)
            new = new / new.norm()
        basis = torch.cat([basis, new], 1)
    return basis


def pointed(
    directions: Tensor,  # (D, K)
) -> Tensor:  # (K,) of 1 and -1
    """The sign of the largest entry of every column; of entries of one size that of the first.

    A direction times its sign is the same whatever sign an eigensolver gave it.
    """
    largest = first_best(directions.T.abs())
    return torch.where(directions.T.gather(1, largest[:, None])[:, 0] < 0, -1.0, 1.0).to(directions)


def _few(moments: Moments, side: str) -> bool:
    return bool(moments.rows) and moments.n < moments.rows[side].shape[1]


def _by_rows(moments: Moments) -> Tensor:  # (E, D)
    """Least squares among combinations of rows, in which the map of minimum norm lies."""
    x, y = moments.rows["x"], moments.rows["y"]
    among, _ = directions(x)
    basis, small = torch.linalg.qr(x.T @ among)  # (D, rank), (rank, rank)
    answers = torch.linalg.solve_triangular(small.T, among.T @ y, upper=False)
    return (basis @ answers).T


def _by_sums(moments: Moments) -> Tensor:  # (E, D)
    variance = moments.variance("x")
    white = whitener(moments, "x")
    weight = (white @ (white.T @ moments.covariance("xy"))).T
    if white.shape[1] < len(variance):
        # The minimum norm is that of the units as they are, not as scaled: keep the part of W in
        # the span of the data, which is what C's range spans.
        basis = torch.linalg.qr(variance[:, None] * white).Q
        weight = weight @ basis @ basis.T
    return weight


def first_best(
    gain: Tensor,  # (E, D)
) -> Tensor:  # (E,) int64
    """The column of the largest number of every row; the first, where others are within 1e-9."""
    best = gain.max(1, keepdim=True).values
    return (gain >= best - TIED * best.abs()).int().argmax(1)
