"""Squared error over variance, of one batch: the error that objectives add up over layers."""

import torch
from torch import Tensor

from frankenstein.shapes import per_location


def unexplained(
    stitched: Tensor,  # (N, ...)
    target: Tensor,  # the same shape
) -> Tensor:  # ()
    """Squared error over the target's variance in the batch: 0 for the target, 1 for its mean.

    Both are summed over units, places and examples, the variance about each unit's mean in the
    batch. A target that does not vary in it gives the plain mean squared error.
    """
    rows = per_location(target)
    variance = (rows - rows.mean(0)).square().mean()
    error = (stitched - target).square().mean()
    return error / torch.where(variance > 0, variance, 1)
