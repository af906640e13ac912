"""Numbers that are equal but for rounding: the first of them is taken, whatever the processor."""

from torch import Tensor

TIED = 1e-9  # of the largest: between rounding, of float32 too, and what data tell apart


def first_best(
    gain: Tensor,  # (E, D)
) -> Tensor:  # (E,) int64
    """The column of the largest number of every row; the first, where others are within 1e-9."""
    best = gain.max(1, keepdim=True).values
    return (gain >= best - TIED * best.abs()).int().argmax(1)
