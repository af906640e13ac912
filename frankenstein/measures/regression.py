"""Linear predictivity: how much of one representation a linear map reads off another."""

from torch import Tensor

from frankenstein.linear import whitener
from frankenstein.measures.undefined import constant_side, undefined
from frankenstein.moments import Moments, moments_of


def r_squared(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Share in [0, 1] of y's variance that the least-squares affine map from x explains.

    On the examples that the map is fitted to: with few examples for the units of x it is near 1
    whatever the data. Not symmetric. NaN with a warning where a representation does not vary.

    Source: Kornblith et al. 2019, table 1, https://arxiv.org/abs/1905.00414.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(x, y)
    cross = moments.covariance("xy")
    if reason := constant_side(moments):
        return undefined(cross, "r_squared", reason)
    white = whitener(moments, "x")
    return ((white.T @ cross).square().sum() / moments.variance("y").sum()).clamp(max=1)
