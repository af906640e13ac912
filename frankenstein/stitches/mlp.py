"""Stitches that bend: two layers with a ReLU between."""

import torch
from torch import Tensor, nn

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch, placewise


class MLP(Stitch):
    """W₂ relu(W₁ z + b₁) + b₂ at every place or token; random at first. It is trained.

    Twice as many units lie between as the smaller side has: enough for every affine map, each of
    whose values is what ReLU passes of it less what it passes of its negative.
    """

    affine = False

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        between = 2 * min(in_channels, out_channels)
        self.first = nn.Linear(in_channels, between)
        self.second = nn.Linear(between, out_channels)

    def forward(self, source: Tensor) -> Tensor:
        """The stitched representation."""
        self.check(source)
        between = placewise(source, self.first.weight, self.first.bias).relu()
        return placewise(between, self.second.weight, self.second.bias)

    @torch.no_grad()
    def solve(self, moments: Moments) -> "MLP":
        """The affine map of least squares: no sums say what is best beyond that."""
        self.check_moments(moments)
        return self.approximate(*least_squares(moments))

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "MLP":
        """That map itself."""
        widens = self.in_channels <= self.out_channels
        unit = torch.eye(len(self.first.bias) // 2).to(self.first.weight)
        weight = weight.to(unit)
        into, out = (unit, weight) if widens else (weight, unit)
        self.first.weight.copy_(torch.cat([into, -into]))
        self.first.bias.zero_()
        self.second.weight.copy_(torch.cat([out, -out], dim=1))
        self.second.bias.copy_(bias)
        return self
