"""Distances in the space of the target itself."""

from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.measures.units import same_units


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
    spread = (
        moments.variance("x").sum()
        - 2 * moments.covariance("xy").trace()
        + moments.variance("y").sum()
    )
    return spread.clamp(min=0) + (moments.mean("x") - moments.mean("y")).square().sum()
