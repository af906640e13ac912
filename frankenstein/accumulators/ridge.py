"""Ridge regression from sums by parts: every strength fitted at once, one chosen by the parts."""

from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError

# Of the whole variance of x. The least is least squares of minimum norm for all but directions that
# hold less than it, of which rounding would decide otherwise.
PENALTIES = (1e-10, *(10.0**power for power in range(-6, 2)))


class RidgeFit(NamedTuple):
    """Ridge regressions of every penalty, in the principal directions of x at a variance of 1."""

    vectors: Tensor  # (D, D), over the root of the whole variance of x
    inverse: Tensor  # (penalties, D): 1 / (share of the variance + penalty)
    answers: Tensor  # (D, E): covariance of the directions with y
    mean: dict[str, Tensor]


def ridge_fits(moments: Moments) -> RidgeFit:
    """Ridge regressions from x to y of all `PENALTIES`.

    Source: Hoerl & Kennard 1970, https://doi.org/10.1080/00401706.1970.10488634, the penalty over
    the whole variance of x.
    """
    spectrum = moments.cached("x", "spectrum", lambda: torch.linalg.eigh(moments.covariance("xx")))
    variances = spectrum[0].clamp(min=0)
    total = torch.where(variances.any(), variances.sum(), torch.inf)
    # Shares of the whole, so that fourth powers of large or small units are no matter.
    inverse = 1 / (variances / total + variances.new_tensor(PENALTIES)[:, None])
    vectors = spectrum[1] / total.sqrt()
    mean = {side: moments.mean(side) for side in "xy"}
    return RidgeFit(vectors, inverse, vectors.T @ moments.covariance("xy"), mean)


def errors_of(fit: RidgeFit, part: Moments) -> tuple[Tensor, Tensor]:  # (penalties,), ()
    """Mean squared error by penalty of what is predicted of a part, and of the fitted mean.

    Where rounding leaves less than 0 they are that: the caller knows what is too much.
    """
    x, y = (part.mean(side) - fit.mean[side] for side in "xy")
    x = fit.vectors.T @ x
    own = fit.vectors.T @ part.covariance("xx") @ fit.vectors + torch.outer(x, x)
    cross = fit.vectors.T @ part.covariance("xy") + torch.outer(x, y)
    total = part.variance("y").sum() + y.square().sum()
    explained = fit.inverse @ (fit.answers * cross).sum(1)
    spread = (fit.inverse @ (fit.answers @ fit.answers.T * own) * fit.inverse).sum(1)
    size = total + spread
    errors = size - 2 * explained
    return errors.masked_fill((errors < 0) & (errors >= -1e-9 * size), 0), total


def ridge_regression(folds: Folds) -> tuple[Tensor, Tensor, float]:  # (E, D), (E,), penalty
    """The ridge map from x to y of the penalty that predicts every part best from the others.

    The penalty is one of `PENALTIES`, over the whole variance of x; the map is then fitted to all.
    Units that do not vary have no weight. Cost: as many eigendecompositions as parts, and one.

    Raises:
        UserError: if there are no examples, or a part is empty.
    """
    if min(part.n for part in folds.parts) == 0:
        raise UserError(
            f"a ridge is chosen by {len(folds.parts)} parts, and {folds.n_seen} examples do not "
            "fill them; solve on more"
        )
    errors = torch.stack(
        [part.n * errors_of(ridge_fits(folds.without(i)), part)[0] for i, part in _parts(folds)]
    )
    best = int(errors.sum(0).argmin())
    everything = folds.without()
    weight, bias = member(ridge_fits(everything), best)
    weight = weight * (everything.variance("x") > 0)
    return weight, bias, PENALTIES[best]


def member(fit: RidgeFit, which: int) -> tuple[Tensor, Tensor]:  # (E, D), (E,)
    """The map of one of the penalties."""
    weight = (fit.vectors @ (fit.inverse[which][:, None] * fit.answers)).T
    return weight, fit.mean["y"] - weight @ fit.mean["x"]


def _parts(folds: Folds) -> list[tuple[int, Moments]]:
    return [(i, part.frozen()) for i, part in enumerate(folds.parts)]
