"""In how many dimensions do two representations vary alike?"""

from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.small_sample import reduce_to_span
from frankenstein.measures.undefined import nothing_to_compare, undefined


def shared_dimensions(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Effective number of dimensions in which both vary alike, at least 0.

    Of a representation with itself it is its participation ratio, (Σ λ)² / Σ λ² of the variances λ
    of its principal directions, between 1 and its rank. Divided by the root of both participation
    ratios it is `linear_cka`. NaN with a warning where a representation does not vary.

    Source: Giaffar et al. 2024 (2023 as a preprint), ENSD,
    https://proceedings.mlr.press/v238/giaffar24a.html.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    moments = moments_of(*reduce_to_span(x, y))
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, "shared_dimensions", reason)
    # Each side over its total variance, so that fourth powers neither overflow nor vanish.
    total_x, total_y = (moments.variance(side).sum() for side in "xy")
    own_x = (moments.covariance("xx") / total_x).square().sum()
    own_y = (moments.covariance("yy") / total_y).square().sum()
    # Rooted one by one: the scales of both sides may lie 1e32 apart.
    return (cross / total_x.sqrt() / total_y.sqrt()).square().sum() / (own_x * own_y)
