"""Stitches through coordinates that both networks share: cosines to anchors."""

from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.anchors import Anchored, of_length_1, relative
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.ridge import errors_of, member, ridge_fits
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError
from frankenstein.stitches.stitch import Stitch, placewise


class Relative(Stitch):
    """W r + b, where r are the cosines of the source with its anchors; 0 until it is solved.

    The decoder W, b goes from coordinates relative to the target's anchors back to the target and
    never sees the sender: whatever sender has cosines like the receiver's is stitched by it.

    Source: Moschella et al. 2023, https://arxiv.org/abs/2209.15430; there the decoder is a head
    that is trained for the task, here it is solved, and the receiver's end follows.
    """

    anchors_of_source: Tensor  # (K, D)
    weight: Tensor  # (E, K)
    bias: Tensor  # (E,)

    affine = False

    def __init__(self, in_channels: int, out_channels: int, anchors: int) -> None:
        super().__init__(in_channels, out_channels)
        self.anchors = anchors
        self.register_buffer("anchors_of_source", torch.zeros(anchors, in_channels))
        self.register_buffer("weight", torch.zeros(out_channels, anchors))
        self.register_buffer("bias", torch.zeros(out_channels))

    @property
    def options(self) -> dict[str, Any]:
        """The number of anchors."""
        return {"anchors": self.anchors}

    def forward(self, source: Tensor) -> Tensor:
        """The stitched representation."""
        self.check(source)
        z = of_length_1(source, 1 if source.ndim == 4 else -1)
        anchors = of_length_1(self.anchors_of_source)
        return placewise(placewise(z, anchors, None), self.weight, self.bias)

    def solve(self, moments: Moments) -> "Relative":
        """Sums have no anchors: see `solve_by`."""
        raise UserError("a relative stitch is solved by anchors, and sums have none; give Anchored")

    @torch.no_grad()
    def solve_by(self, anchored: Anchored) -> "Relative":
        """Ridge regression on the receiver alone, its strength by the anchors; returns self.

        Ridges of every strength are solved on the receiver's own coordinates. Of these by
        themselves the weakest is best, and it reads differences of cosines that no two networks
        share. So the strength is that which predicts the receiver's anchors best from the
        sender's coordinates: K pairs, no more than any stitch on these anchors sees.

        Raises:
            ShapeError: if the anchors are of other numbers of units.
            UserError: if there are no examples beside the anchors.
        """
        x, y = anchored.anchors()
        if (len(x), x.shape[1], y.shape[1]) != (self.anchors, self.in_channels, self.out_channels):
            raise ShapeError(
                f"this stitch goes from {self.in_channels} to {self.out_channels} units by "
                f"{self.anchors} anchors, got {len(x)} of {x.shape[1]} and {y.shape[1]} units"
            )
        fit = ridge_fits(anchored.learned())
        errors, _ = errors_of(fit, Moments().update(relative(x, x), y))
        weight, bias = member(fit, int(errors.argmin()))
        self.anchors_of_source.copy_(x)
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        return self
