"""Canonical correlations: how alike two representations are up to any invertible linear map."""

from collections.abc import Callable

import torch
from torch import Tensor

from frankenstein.accumulators.linear import (
    TIED,
    rank_of,
    ridge_whitener,
    whitened_moments,
    whitener,
)
from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.small_sample import (
    by_rows,
    ranked_moments,
    reduce_to_span,
    whiten_rows,
)
from frankenstein.errors import UserError
from frankenstein.measures.undefined import in_range, nothing_to_compare, too_few, undefined


def canonical_correlations(
    moments: Moments, ridge: float = 0.0
) -> Tensor:  # (min(rank x, rank y),)
    """All canonical correlations, largest first, in [0, 1].

    Each side counts as many directions as it varies in: dead and dependent units add none;
    directions below float64's rounding are left out.

    A ridge adds that share of the mean variance of a side's directions to each of them before they
    are divided by it (Vinod 1976, https://doi.org/10.1016/0304-4076(76)90010-5). Correlations only
    shrink, those of directions of little variance most, and none is 1 any more; an invertible map
    is then felt, a rotation still is not. By default there is none.

    Source: Hotelling 1936; Björck & Golub 1973 for the whitened singular values.

    Raises:
        UserError: for a negative ridge.
    """
    if ridge < 0:
        raise UserError(f"a ridge is a share of the variance, 0 or more, got {ridge:g}")
    rank = min(rank_of(moments, side) for side in "xy")
    white = [
        ridge_whitener(moments, side, ridge) if ridge else whitener(moments, side) for side in "xy"
    ]
    return _correlations(white[0], moments, white[1])[:rank]


def canonical_directions(x: Tensor | Moments, y: Tensor | None = None) -> int:
    """How many a mean over canonical correlations is over: of the side that varies in fewer."""
    moments = ranked_moments(x, y)
    return min(rank_of(moments, side) for side in "xy")


def mean_cca(
    x: Tensor | Moments,
    y: Tensor | None = None,
    ridge: float = 0.0,  # see `canonical_correlations`
) -> Tensor:  # ()
    """Mean canonical correlation in [0, 1]; 1 when y is x through any invertible map.

    NaN with a warning where a representation does not vary, and, unless there is a ridge, where
    examples are so few (N - 1 < rank x + rank y) that some correlations are 1 whatever the data.
    An example that comes again counts as another one.

    Source: Raghu et al. 2017, https://arxiv.org/abs/1706.05806.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for a negative ridge.
    """
    return _mean(x, y, "mean_cca", ridge, power=1)


def mean_squared_cca(
    x: Tensor | Moments,
    y: Tensor | None = None,
    ridge: float = 0.0,  # see `canonical_correlations`
) -> Tensor:  # ()
    """Mean squared canonical correlation in [0, 1] (R²_CCA); NaN as for `mean_cca`.

    Source: Kornblith et al. 2019, table 1, https://arxiv.org/abs/1905.00414; the mean is over the
    directions of the side that has fewer, so that it is symmetric.
    """
    return _mean(x, y, "mean_squared_cca", ridge, power=2)


def eigenspace_overlap(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Squared canonical correlations summed, over the larger number of directions, in [0, 1].

    1 only where both span the same space; that of a space within another is the smaller number of
    directions over the larger, of which `mean_squared_cca` says 1. NaN as for `mean_cca`.

    Source: May et al. 2019, the eigenspace overlap score, https://arxiv.org/abs/1909.01264, of
    representations that are centred first; it divides by ranks, so that dead units count nowhere.
    """
    return _mean(x, y, "eigenspace_overlap", 0.0, power=2, over=max)


def svcca(
    x: Tensor | Moments,
    y: Tensor | None = None,
    share: float = 0.99,  # of each side's variance that its leading directions are to hold
) -> Tensor:  # ()
    """Mean canonical correlation of the leading principal directions, in [0, 1].

    On each side the fewest directions are kept that hold the share of its variance. NaN with
    a warning as for `mean_cca`, with the directions that are kept.

    Source: Raghu et al. 2017, section 2, https://arxiv.org/abs/1706.05806.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for no share in (0, 1].
    """
    if not 0 < share <= 1:
        raise UserError(f"the share of variance kept lies in (0, 1], got {share:g}")
    moments = moments_of(*reduce_to_span(x, y))
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), "svcca", reason)
    white_x, white_y = (_leading(moments, side, share) for side in "xy")
    if reason := too_few(moments, white_x.shape[1], white_y.shape[1]):
        return undefined(moments.covariance("xy"), "svcca", reason)
    return _correlations(white_x, moments, white_y).mean()


def pwcca(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean canonical correlation in [0, 1], weighted by what each accounts for in x.

    The weight of the i-th is Σ_j |<h_i, x_j>|, of x's canonical variate h_i with its units x_j. So
    it is not symmetric, and feels a rotation of x. Variates of equal correlation (within 1e-9),
    which are open to any rotation, are those that account for the most of x, one after another.
    NaN with a warning as for `mean_cca`.

    Source: Morcos et al. 2018, eq. 3, https://arxiv.org/abs/1806.05759. Google's code and what
    copied it make variates orthonormal once more and weigh with these, which is not eq. 3.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    few = by_rows(x, y)
    moments = moments_of(*(reduce_to_span(x, y, whiten_rows, whiten_rows) if few else (x, y)))
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), "pwcca", reason)
    white_x, white_y = (whitener(moments, side) for side in "xy")
    if reason := too_few(moments, white_x.shape[1], white_y.shape[1]):
        return undefined(moments.covariance("xy"), "pwcca", reason)
    if few:  # the weights are of the units as they are
        moments = moments_of(x, y)
        white_x, white_y = (whitener(moments, side) for side in "xy")
    whitened = white_x.T @ moments.covariance("xy") @ white_y
    turn, correlations, _ = torch.linalg.svd(whitened, full_matrices=False)
    accounts = moments.covariance("xx") @ white_x @ turn
    apart = (correlations[:-1] - correlations[1:] > TIED).nonzero()[:, 0] + 1
    # V turns directions of one correlation into the principal ones of what they account for.
    parts = [
        part @ torch.linalg.svd(part, full_matrices=False).Vh.T if part.shape[1] > 1 else part
        for part in accounts.tensor_split(apart.tolist(), 1)
    ]
    weights = torch.cat(parts, 1).abs().sum(0)
    return (weights * in_range(correlations, rounding=1e-6)).sum() / weights.sum()


def _mean(
    x: Tensor | Moments,
    y: Tensor | None,
    name: str,
    ridge: float,
    power: int,
    over: Callable[[int, int], int] = min,  # of both ranks
) -> Tensor:
    moments = ranked_moments(x, y) if ridge else whitened_moments(x, y)
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), name, reason)
    if ridge:
        return canonical_correlations(moments, ridge).pow(power).mean()
    white_x, white_y = (whitener(moments, side) for side in "xy")
    if reason := too_few(moments, white_x.shape[1], white_y.shape[1]):
        return undefined(moments.covariance("xy"), name, reason)
    correlations = _correlations(white_x, moments, white_y)
    return correlations.pow(power).sum() / over(white_x.shape[1], white_y.shape[1])


def _leading(moments: Moments, side: str, share: float) -> Tensor:  # (D, kept)
    """The whitened principal directions that hold a share of the variance."""
    return moments.cached(side, ("leading", share), lambda: _whitened(moments, side, share))


def _whitened(moments: Moments, side: str, share: float) -> Tensor:
    eigenvalues, vectors = torch.linalg.eigh(moments.covariance(side + side))
    eigenvalues, vectors = eigenvalues.flip(0), vectors.flip(1)
    held = eigenvalues.cumsum(0)
    # Rounding must not ask for one direction more, nor ever for one that holds nothing.
    kept = 1 + int((held < share * held[-1] * (1 - 1e-12)).sum())
    return vectors[:, :kept] * eigenvalues[:kept].rsqrt()


def _correlations(white_x: Tensor, moments: Moments, white_y: Tensor) -> Tensor:
    values = torch.linalg.svdvals(white_x.T @ moments.covariance("xy") @ white_y)
    return in_range(values, rounding=1e-6)
