"""Where a stitch starts, whatever its family."""

import torch

from frankenstein.errors import UserError
from frankenstein.moments import Moments
from frankenstein.stitches.stitch import Stitch

STARTS = ("random", "eye", "perm", "solved")


def start(stitch: Stitch, how: str, moments: Moments | None = None) -> Stitch:
    """Put a stitch at its start; returns it.

    "random" leaves it as it was made; "eye" and "perm" take the member of its family nearest to
    the unit matrix and to a random permutation (with zero bias); "solved" is direct matching.

    Raises:
        UserError: for an unknown start, or "solved" without moments.
    """
    if how == "random":
        return stitch
    if how == "solved":
        if moments is None:
            raise UserError('the start "solved" needs moments of source and target')
        return stitch.solve(moments)
    if how not in ("eye", "perm"):
        raise UserError(f"unknown start {how!r}; known: {', '.join(STARTS)}")
    matrix = torch.eye(stitch.out_channels, stitch.in_channels)
    if how == "perm":
        matrix = matrix[:, torch.randperm(stitch.in_channels)]
    return stitch.approximate(matrix, torch.zeros(stitch.out_channels))
