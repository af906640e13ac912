"""What a measure gives for representations that it cannot compare: NaN, with the reason."""

import warnings

from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir


class UndefinedSimilarityWarning(UserWarning):
    """A similarity is NaN because it is not defined for this input; the message says why."""


def undefined(like: Tensor, measure: str, reason: str) -> Tensor:  # ()
    """NaN, and a warning that names the measure and the reason."""
    warnings.warn(f"{measure} is undefined: {reason}", UndefinedSimilarityWarning, stacklevel=3)
    return like.new_full((), float("nan"))


def nothing_to_compare(seen: Moments | Reservoir) -> str | None:
    """Why these representations cannot be compared, or None if they can.

    They must vary, and over three examples or more: any two pairs of points look alike.
    """
    varying = [_varying(seen, side) for side in "xy"]  # both: reading looks for NaN and Inf
    for name, units in zip(("first", "second"), varying, strict=True):
        if not units.any():
            return f"the {name} representation is the same for every example"
    n = seen.n_kept if isinstance(seen, Reservoir) else seen.n
    return f"{n} examples always look alike; it takes 3 or more" if n < 3 else None


def too_few(moments: Moments, rank_x: int, rank_y: int) -> str | None:
    """Why canonical correlations of so many directions mean nothing, or None if they do.

    Sums do not know which rows are the same: an example that comes again counts as another one.
    """
    if moments.n - 1 >= rank_x + rank_y:
        return None
    return (
        f"{moments.n} examples are too few for {rank_x} and {rank_y} directions: "
        "some correlations would be 1 whatever the data"
    )


def _varying(seen: Moments | Reservoir, side: str) -> Tensor:  # (D,)
    if isinstance(seen, Moments):
        return seen.variance(side) > 0
    rows = seen.x if side == "x" else seen.y
    return (rows != rows[0]).any(0)
