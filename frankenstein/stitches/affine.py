"""Stitches that are any matrix and bias."""

import torch
from torch import Tensor, nn

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch


class Affine(Stitch):
    """W z + b at every place: the 1x1 convolution of Lenc & Vedaldi 2015, random at first."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        layer = nn.Linear(in_channels, out_channels)
        self.weight, self.bias = layer.weight, layer.bias

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """Its own parameters."""
        return self.weight, self.bias

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Affine":
        """Least squares, of minimum norm where many solve it: the pseudo-inverse with bias.

        Source: Csiszárik et al. 2021 (direct matching), https://arxiv.org/abs/2110.14633.
        """
        self.check_moments(moments)
        return self.approximate(*least_squares(moments))

    @torch.no_grad()
    def follow(self, matrix: Tensor, bias: Tensor) -> "Affine":
        """Any matrix will do."""
        return self.approximate(matrix @ self.weight.to(matrix), bias)

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Affine":
        """That map itself."""
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        return self
