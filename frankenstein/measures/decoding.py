"""Do linear decoders read the same off two representations?"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor

from frankenstein.accumulators.linear import (
    rank_of,
    ridge_whitener,
    whitened_moments,
    whitener,
)
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import ranked_moments
from frankenstein.errors import UserError
from frankenstein.measures.shape import root_of
from frankenstein.measures.undefined import in_range, nothing_to_compare, too_few, undefined


def decoding_agreement(
    x: Tensor | Moments,
    y: Tensor | None = None,
    ridge: float = 1.0,  # of the mean variance of a side's directions
) -> Tensor:  # ()
    """Agreement in [0, 1] of what ridge regressions from x and from y answer; 1 for the same.

    The mean inner product of the two answers over all targets (unit white noise on the examples),
    over what each has with itself. The family runs from ridge 0, the sum of squared canonical
    correlations over √(rank x · rank y), to an infinite ridge, linear CKA; like this it is biased
    upwards when examples are few. NaN with a warning where a representation does not vary,
    and without a ridge as for `mean_cca`.

    Source: Harvey et al. 2024, the average decoding similarity with C_z = 1 and G(X) = C_X + λ 1,
    https://arxiv.org/abs/2411.08197.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for a negative ridge.
    """
    moments, reason = _ready(x, y, ridge)
    if reason:
        return undefined(moments.covariance("xy"), "decoding_agreement", reason)
    own_x, own_y, both = _answers(moments, dict.fromkeys("xy", ridge))
    return in_range(both.square() / (own_x * own_y))


def gulp_distance(
    x: Tensor | Moments,
    y: Tensor | None = None,
    ridge: float = 0.01,  # of a side's whole variance: λ of the paper
) -> Tensor:  # ()
    """Largest root mean square difference of what ridge regressions from x and from y answer.

    Over all targets of variance 1 or less; 0 when y is x turned and rescaled, at least 0. A metric.
    Each side is first brought to a whole variance of 1, as in the paper's experiments. NaN as for
    `decoding_agreement`. Distances under 3e-7 of what either answers cannot be told from 0 and are
    given as 0.

    Source: Boix-Adserà et al. 2022, https://arxiv.org/abs/2210.06545; the authors' own code gives
    its square.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for a negative ridge.
    """
    moments, reason = _ready(x, y, ridge)
    if reason:
        return undefined(moments.covariance("xy"), "gulp_distance", reason)
    own_x, own_y, both = _answers(moments, {s: ridge * rank_of(moments, s) for s in "xy"})
    size = own_x.square() + own_y.square()
    return root_of(size - 2 * both.square(), size)


def _ready(
    x: Tensor | Moments, y: Tensor | None, ridge: float
) -> tuple[Moments, str | None]:  # and why they cannot be compared
    if ridge < 0:
        raise UserError(f"a ridge is a share of the variance, 0 or more, got {ridge:g}")
    moments = ranked_moments(x, y) if ridge else whitened_moments(x, y)
    reason = nothing_to_compare(moments)
    if not reason and not ridge:
        reason = too_few(moments, *(whitener(moments, side).shape[1] for side in "xy"))
    return moments, reason


def _answers(moments: Moments, ridges: Mapping[str, float]) -> tuple[Tensor, Tensor, Tensor]:
    """Norms of what both answer to white noise: x with itself, y with itself, x with y."""
    read = {
        side: ridge_whitener(moments, side, ridge) if ridge else whitener(moments, side)
        for side, ridge in ridges.items()
    }

    def answers(pair: str) -> Tensor:
        return (read[pair[0]].T @ moments.covariance(pair) @ read[pair[1]]).norm()

    own_x, own_y = (
        moments.cached(side, ("answers", ridges[side]), partial(answers, side + side))
        for side in "xy"
    )
    return own_x, own_y, answers("xy")
