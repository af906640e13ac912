"""Canonical correlations: how alike two representations are up to any invertible linear map."""

import torch
from torch import Tensor

from frankenstein.linear import whitener
from frankenstein.measures.undefined import constant_side, undefined
from frankenstein.moments import Moments, moments_of


def canonical_correlations(moments: Moments) -> Tensor:  # (min(rank x, rank y),)
    """All canonical correlations, largest first, in [0, 1].

    Each side counts as many directions as it varies in: dead and dependent units add none.
    No ridge is added; directions below float64's rounding are left out instead.

    Source: Hotelling 1936; Björck & Golub 1973 for the whitened singular values.
    """
    white_x, white_y = _whiteners(moments)
    return _correlations(white_x, moments, white_y)


def mean_cca(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean canonical correlation in [0, 1]; 1 when y is x through any invertible map.

    NaN with a warning where a representation does not vary, and where examples are so few
    (N - 1 < rank x + rank y) that some correlations are 1 whatever the data.

    Source: Raghu et al. 2017, https://arxiv.org/abs/1706.05806.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    return _mean(moments_of(x, y), "mean_cca", power=1)


def mean_squared_cca(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean squared canonical correlation in [0, 1] (R²_CCA); NaN as for `mean_cca`.

    Source: Kornblith et al. 2019, table 1, https://arxiv.org/abs/1905.00414; the mean is over the
    directions of the side that has fewer, so that it is symmetric.
    """
    return _mean(moments_of(x, y), "mean_squared_cca", power=2)


def _mean(moments: Moments, name: str, power: int) -> Tensor:
    if reason := constant_side(moments):
        return undefined(moments.covariance("xy"), name, reason)
    white_x, white_y = _whiteners(moments)
    rank_x, rank_y = white_x.shape[1], white_y.shape[1]
    if moments.n - 1 < rank_x + rank_y:
        reason = (
            f"{moments.n} examples are too few for {rank_x} and {rank_y} directions: "
            "some correlations would be 1 whatever the data"
        )
        return undefined(moments.covariance("xy"), name, reason)
    return _correlations(white_x, moments, white_y).pow(power).mean()


def _whiteners(moments: Moments) -> tuple[Tensor, Tensor]:
    return whitener(moments, "x"), whitener(moments, "y")


def _correlations(white_x: Tensor, moments: Moments, white_y: Tensor) -> Tensor:
    values = torch.linalg.svdvals(white_x.T @ moments.covariance("xy") @ white_y)
    return values.clamp(max=1)  # rounding can leave 1 + 1e-15
