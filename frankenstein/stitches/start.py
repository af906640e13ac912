"""Where a stitch starts, whatever its family."""

import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError, did_you_mean
from frankenstein.stitches.stitch import Stitch

STARTS = ("random", "eye", "perm", "ones-zeros", "solved")


def start(stitch: Stitch, how: str, moments: Moments | None = None) -> Stitch:
    """Put a stitch at its start; returns it.

    "random" leaves it as it was made; "eye", "perm" and "ones-zeros" take the member of its family
    nearest to the unit matrix, a random permutation and a matrix of ones (with zero bias);
    "solved" is direct matching. With moments, a family that needs to know the data first does.

    Raises:
        UserError: for an unknown start, or "solved" without moments.
    """
    if how not in STARTS:
        known = ", ".join(STARTS)
        raise UserError(f"unknown start {how!r}; known: {known}{did_you_mean(how, STARTS)}")
    if how == "solved":
        if moments is None:
            raise UserError('the start "solved" needs moments of source and target')
        return stitch.solve(moments)
    if moments is not None:
        stitch.prepare(moments)
    if how == "random":
        return stitch
    matrix = torch.eye(stitch.out_channels, stitch.in_channels)
    if how == "perm":
        matrix = matrix[:, torch.randperm(stitch.in_channels)]
    if how == "ones-zeros":
        matrix = torch.ones_like(matrix)
    return stitch.approximate(matrix, torch.zeros(stitch.out_channels))
