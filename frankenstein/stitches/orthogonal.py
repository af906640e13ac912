"""Stitches that only rotate or reflect, and shift."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch, same_number_of_units


class Orthogonal(Stitch):
    """Q z + b with QᵀQ = 1, a random rotation at first."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        same_number_of_units("orthogonal", in_channels, out_channels)
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(out_channels, in_channels)))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """Its own parameters."""
        return self.weight, self.bias

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Orthogonal":
        """The rotation of least squared error.

        Source: Schönemann 1966, https://doi.org/10.1007/BF02289451.
        """
        self.check_moments(moments)
        weight = _nearest_rotation(moments.covariance("xy").T)
        self.weight.copy_(weight)
        self.bias.copy_(moments.mean("y") - weight @ moments.mean("x"))
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Orthogonal":
        """The rotation nearest to the matrix, by its polar decomposition."""
        self.weight.copy_(_nearest_rotation(weight))
        self.bias.copy_(bias)
        return self

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Back to the nearest rotation: a projected gradient step."""
        self.weight.copy_(_nearest_rotation(self.weight.double()))


def _nearest_rotation(matrix: Tensor) -> Tensor:
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    return u @ v
