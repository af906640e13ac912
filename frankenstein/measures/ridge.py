"""Linear predictivity with a ridge: what a penalised map reads off examples it has not seen."""

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from frankenstein.accumulators.folds import Folds, folds_of
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.ridge import RidgeFit, errors_of, ridge_fits
from frankenstein.accumulators.small_sample import reduce_to_span, rotate_to_span
from frankenstein.errors import UserError
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined


def ridge_r_squared(
    x: Tensor | Folds | Reservoir,
    y: Tensor | None = None,
    count: int = 5,  # parts, of two matrices; Folds are made of as many as they are
) -> Tensor:  # ()
    """Share of y's variance that ridge regression from x explains in examples not fitted to.

    At most 1; 0 where it predicts no better than the mean of the fitted examples. Every part is
    predicted from all others, and squares are summed over parts before the ratio. The penalty is
    the one of `PENALTIES` that predicts the other parts best, each from those that are left: no
    part has a say in its own. NaN with a warning where a representation does not vary, or a part is
    empty.

    Source: Hoerl & Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634, with nested
    cross-validation as in Conwell et al. 2022, https://doi.org/10.1101/2022.03.28.485868.
    Cost: no second pass: 15 sums of parts' moments and as many eigendecompositions for 5 parts.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for less than three parts.
    """
    folds, reason = _ready(x, y, count, rotate_to_span, least=1)
    if reason:
        return undefined(folds.without().covariance("xy"), "ridge_r_squared", reason)
    wrong = total = torch.zeros(())
    for part, fit, penalty in _chosen(folds):
        errors, whole = errors_of(fit, part)
        wrong, total = wrong + part.n * errors[penalty], total + part.n * whole
    return 1 - wrong / total


def ridge_correlation(
    x: Tensor | Folds | Reservoir,
    y: Tensor | None = None,
    count: int = 5,
) -> Tensor:  # ()
    """Mean over units of y of the correlation in [-1, 1] of what ridge predicts with what comes.

    In examples not fitted to: of each part by itself, then the mean over parts and units. Maps and
    penalties are those of `ridge_r_squared`. Where the prediction does not vary the correlation is
    0; a unit that does not vary in a part has none there. NaN with a warning where a representation
    does not vary, a part has fewer than 3 examples, or no unit of y varies within any part.

    Source: Schrimpf et al. 2018, neural predictivity, https://doi.org/10.1101/407007; Conwell et
    al. 2022, https://doi.org/10.1101/2022.03.28.485868. The mean over units is not their median.
    """
    name = "ridge_correlation"
    folds, reason = _ready(x, y, count, lambda rows: rows, least=3)
    if reason:
        return undefined(folds.without().covariance("xy"), name, reason)
    found = torch.stack([_correlations(fit, part, p) for part, fit, p in _chosen(folds)])
    if found.isnan().all():
        return undefined(found, name, "no unit of the second representation varies within a part")
    return found.nanmean(0).nanmean()


def _ready(
    x: Tensor | Folds | Reservoir,
    y: Tensor | None,
    count: int,
    as_y: Callable[[Tensor], Tensor],
    least: int,  # examples of a part
) -> tuple[Folds, str | None]:  # and why they cannot be compared
    if not isinstance(x, Folds):
        x, y = reduce_to_span(x, y, rotate_to_span, as_y)  # type: ignore[assignment]
    folds = folds_of(x, y, count)
    if len(folds.parts) < 3:
        raise UserError(f"the penalty is chosen within three parts or more, got {count}")
    everything = folds.without()
    reason = nothing_to_compare(everything)
    if not reason and min(part.n for part in folds.parts) < least:
        size = f" with {least} or more each" if least > 1 else ""
        reason = f"{everything.n} examples do not fill {len(folds.parts)} parts{size}"
    return folds, reason


def _chosen(folds: Folds) -> list[tuple[Moments, RidgeFit, int]]:
    """Every part, what is fitted to all others, and the penalty that they choose among them."""
    penalties = folds.once("penalties", lambda: _penalties(folds))
    return [
        (part.frozen(), ridge_fits(folds.without(i)), penalty)
        for i, (part, penalty) in enumerate(zip(folds.parts, penalties, strict=True))
    ]


def _penalties(folds: Folds) -> list[int]:
    parts = [part.frozen() for part in folds.parts]  # which are read again and again
    errors = {}  # of a part, predicted without another one
    for i, j in combinations(range(len(parts)), 2):
        fit = ridge_fits(folds.without(i, j))
        for left, other in ((i, j), (j, i)):
            errors[left, other] = parts[left].n * errors_of(fit, parts[left])[0]
    n = range(len(parts))
    return [int(torch.stack([errors[j, i] for j in n if j != i]).sum(0).argmin()) for i in n]


def _correlations(fit: RidgeFit, part: Moments, penalty: int) -> Tensor:  # (E,)
    weight = fit.vectors @ (fit.inverse[penalty][:, None] * fit.answers)
    weight = weight * (part.variance("x") > 0)[:, None]
    predicted = (weight * (part.covariance("xx") @ weight)).sum(0).clamp(min=0).sqrt()
    spread = part.variance("y").sqrt()
    cross = (weight * part.covariance("xy")).sum(0) / spread
    correlation = in_range(torch.where(predicted > 0, cross / predicted, 0), -1, rounding=1e-6)
    return torch.where(spread > 0, correlation, torch.nan)
