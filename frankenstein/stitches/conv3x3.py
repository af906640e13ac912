"""Stitches that see the neighbours of a place."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.shapes import ShapeError
from frankenstein.stitches.stitch import Stitch


class Conv3x3(Stitch):
    """A 3x3 convolution with bias, zeros around the map; random at first. It is trained."""

    affine = False

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        layer = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.weight, self.bias = layer.parameters()

    def forward(self, source: Tensor) -> Tensor:
        """The stitched map.

        Raises:
            ShapeError: for a representation without a grid.
        """
        self.check(source)
        if source.ndim != 4:
            raise ShapeError(
                "a conv3x3 stitch sees neighbours on a grid, got a representation of shape "
                f"{tuple(source.shape)}; take affine, batchnorm or mlp"
            )
        return functional.conv2d(source, self.weight, self.bias, padding=1)

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Conv3x3":
        """The affine map of least squares: moments of places say nothing of their neighbours."""
        self.check_moments(moments)
        return self.approximate(*least_squares(moments))

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Conv3x3":
        """That map itself, at the centre."""
        self.weight.zero_()
        self.weight[:, :, 1, 1] = weight.to(self.weight)
        self.bias.copy_(bias)
        return self
