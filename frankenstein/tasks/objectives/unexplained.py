"""Squared error over variance, of one batch: the error that objectives add up over layers."""

import torch
from torch import Tensor

from frankenstein.shapes import Tokens, per_location, rows_of_both


def unexplained(
    stitched: Tensor,  # (N, ...)
    target: Tensor,  # the same shape
) -> Tensor:  # ()
    """Squared error over the target's variance in the batch: 0 for the target, 1 for its mean.

    Both are summed over units, places and examples, the variance about each unit's mean in the
    batch. A target that does not vary in it gives the plain mean squared error. Padding of
    sentences (`Tokens`) counts nowhere.
    """
    rows = per_location(target)
    variance = (rows - rows.mean(0)).square().mean()
    if isinstance(target, Tokens):
        stitched, target = rows_of_both(per_location, stitched, target)
    error = (stitched - target).square().mean()
    return error / torch.where(variance > 0, variance, 1)
