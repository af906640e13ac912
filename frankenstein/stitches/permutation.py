"""Stitches that only reorder units."""

import torch
from torch import Tensor

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.moments import Moments
from frankenstein.shapes import ShapeError
from frankenstein.stitches.stitch import Stitch


class Permutation(Stitch):
    """Target unit j is source unit `order[j]`; source units in excess are left out."""

    order: Tensor

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        if in_channels < out_channels:
            raise ShapeError(
                f"a permutation gives each target unit a source unit of its own, got {in_channels} "
                f"for {out_channels}; swap sender and receiver or use affine"
            )
        self.register_buffer("order", torch.randperm(in_channels)[:out_channels])

    def affine_map(self) -> tuple[Tensor, None]:
        """One 1 in every row."""
        return torch.eye(self.in_channels, device=self.order.device)[self.order], None

    def solve(self, moments: Moments) -> "Permutation":
        """The one-to-one assignment of largest total correlation; dead units correlate 0.

        Of assignments as good the one that moves fewest units (see `assignment`).

        Source: Li et al. 2016, https://arxiv.org/abs/1511.07543; solved by scipy.
        (Where all units vary alike this is least squares among permutations.)
        """
        self.check_moments(moments)
        x, y = moments.variance("x"), moments.variance("y")
        scale_x, scale_y = (torch.where(v > 0, v, torch.inf).rsqrt() for v in (x, y))
        return self._assign(scale_y[:, None] * moments.covariance("xy").T * scale_x)

    def approximate(self, weight: Tensor, bias: Tensor) -> "Permutation":
        """The assignment of largest total weight."""
        return self._assign(weight)

    def forward(self, source: Tensor) -> Tensor:
        """The source's units in another order."""
        self.check(source)
        return source.index_select(1 if source.ndim == 4 else -1, self.order)

    def _assign(self, gain: Tensor) -> "Permutation":
        """Take for every row of gain (E, D) a column of its own, of largest sum."""
        self.order.copy_(assignment(gain)[1])
        return self
