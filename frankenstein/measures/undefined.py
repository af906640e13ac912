"""What a measure says of representations that it cannot compare: NaN, with the reason."""

import warnings

from torch import Tensor

from frankenstein.moments import Moments


class UndefinedSimilarityWarning(UserWarning):
    """A similarity is NaN because it is not defined for this input; the message says why."""


def undefined(like: Tensor, measure: str, reason: str) -> Tensor:  # ()
    """NaN, and a warning that names the measure and the reason."""
    warnings.warn(f"{measure} is undefined: {reason}", UndefinedSimilarityWarning, stacklevel=3)
    return like.new_full((), float("nan"))


def constant_side(moments: Moments) -> str | None:
    """Why nothing can be said of representations that do not vary, or None if both do."""
    for side, name in (("x", "first"), ("y", "second")):
        if not (moments.variance(side) > 0).any():
            return f"the {name} representation is the same for every example"
    return None
