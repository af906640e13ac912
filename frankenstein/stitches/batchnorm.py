"""Stitches with BatchNorm on both sides: the source's scale does not matter to training."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.accumulators.linear import least_squares
from frankenstein.accumulators.moments import Moments
from frankenstein.shapes import Tokens, num_units
from frankenstein.stitches.stitch import Stitch, only_scales


class BatchNormed(Stitch):
    """BatchNorm, W z, BatchNorm with scale and shift; in evaluation one affine map.

    It is made in evaluation mode, where both are folded into the map by their running statistics.
    In training each batch's own count, of all places, padding left out, as in any BatchNorm; a
    batch of one row has no variance and takes the running ones.

    Source: Bansal et al. 2021, https://arxiv.org/abs/2106.07682.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.weight = nn.Linear(in_channels, out_channels, bias=False).weight
        self.before: Any = nn.BatchNorm1d(in_channels, affine=False)
        self.after: Any = nn.BatchNorm1d(out_channels)
        self.eval()

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """What it is in evaluation."""
        out = self.after.weight / _deviation(self.after)
        weight = out[:, None] * self.weight / _deviation(self.before)
        means = out * self.after.running_mean + weight @ self.before.running_mean
        return weight, self.after.bias - means

    def __call__(self, source: Any) -> Any:
        """What it makes of a representation; of padded text token by token."""
        if not (self.training and isinstance(source, Tokens)):
            return super().__call__(source)
        made = super().__call__(source.values[source.there])
        values = made.new_zeros(*source.there.shape, self.out_channels)
        return Tokens(values.index_put((source.there,), made), source.there)

    def forward(self, source: Tensor) -> Tensor:
        """The stitched representation."""
        self.check(source)
        if not self.training or source.numel() == num_units(source.shape):
            return super().forward(source)
        z = source if source.ndim == 4 else source.reshape(-1, self.in_channels)
        z = _by_its_own(self.before, z)
        if z.ndim == 4:
            return _by_its_own(self.after, functional.conv2d(z, self.weight[:, :, None, None]))
        z = _by_its_own(self.after, functional.linear(z, self.weight))
        return z.reshape(*source.shape[:-1], self.out_channels)

    @torch.no_grad()
    def prepare(self, moments: Moments) -> "BatchNormed":
        """Take the statistics of the data for the running ones."""
        self.check_moments(moments)
        self.before.running_mean.copy_(moments.mean("x"))
        self.before.running_var.copy_(moments.variance("x"))
        self.after.running_mean.zero_()
        weight = (self.weight / _deviation(self.before)).to(moments.mean("x"))
        self.after.running_var.copy_(_spread(weight, moments))
        return self

    @torch.no_grad()
    def solve(self, moments: Moments) -> "BatchNormed":
        """Least squares: every affine map is a member, of these statistics."""
        self.prepare(moments)
        weight, bias = least_squares(moments)
        return self._become(weight, bias, _spread(weight, moments))

    @torch.no_grad()
    def follow(self, matrix: Tensor, bias: Tensor) -> "BatchNormed":
        """A diagonal matrix, by the scales of the second BatchNorm."""
        self.after.weight.mul_(only_scales(matrix).to(self.weight))
        self.after.bias.add_(bias.to(self.weight) - self.affine_map()[1])
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "BatchNormed":
        """That map itself in evaluation; in training as far as source units do not correlate."""
        weight = weight.to(self.weight)
        return self._become(weight, bias, weight.square() @ self.before.running_var)

    def _become(self, weight: Tensor, bias: Tensor, spread: Tensor) -> "BatchNormed":
        """The affine map, whose outputs have this variance (E,)."""
        weight = weight.to(self.weight)
        self.weight.copy_(weight * _deviation(self.before))
        self.after.running_mean.zero_()
        self.after.running_var.copy_(spread)
        self.after.weight.copy_(_deviation(self.after))
        self.after.bias.copy_(bias.to(weight) + weight @ self.before.running_mean)
        return self


def _deviation(norm: Any) -> Tensor:  # (D,)
    """What it divides by in evaluation."""
    return (norm.running_var + norm.eps).sqrt()


def _by_its_own(norm: Any, z: Tensor) -> Tensor:
    """A batch by its own statistics, which move the running ones."""
    kept = norm.running_mean, norm.running_var, norm.weight, norm.bias
    return functional.batch_norm(z, *kept, True, norm.momentum, norm.eps)


def _spread(weight: Tensor, moments: Moments) -> Tensor:  # (E,)
    """Variance of what a matrix makes of x."""
    return ((weight @ moments.covariance("xx")) * weight).sum(1).clamp(min=0)
