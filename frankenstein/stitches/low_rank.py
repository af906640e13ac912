"""Stitches through a bottleneck."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.accumulators.linear import completed, least_squares, pointed, predicted_directions
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError, counted
from frankenstein.stitches.stitch import Stitch


class LowRank(Stitch):
    """up (E, R) · down (R, D) z + b: only R directions pass, random ones at first."""

    def __init__(self, in_channels: int, out_channels: int, rank: int) -> None:
        super().__init__(in_channels, out_channels)
        if not 1 <= rank <= min(in_channels, out_channels):
            raise UserError(
                f"a stitch from {in_channels} to {counted(out_channels, 'unit')} has a rank of 1 "
                "to "
                f"{min(in_channels, out_channels)}, got {rank}"
            )
        self.rank = rank
        self.down = nn.Linear(in_channels, rank, bias=False).weight
        layer = nn.Linear(rank, out_channels)
        self.up, self.bias = layer.weight, layer.bias

    @property
    def options(self) -> dict[str, Any]:
        """The rank."""
        return {"rank": self.rank}

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """The product of the two factors."""
        return self.up @ self.down, self.bias

    @torch.no_grad()
    def solve(self, moments: Moments) -> "LowRank":
        """Reduced-rank regression: least squared error among maps of this rank.

        The least-squares map is projected on the leading principal directions of what it
        predicts. Cutting the map's own SVD is far worse: it ignores how the source varies.

        Source: Izenman 1975, https://doi.org/10.1016/0047-259X(75)90042-1.
        """
        self.check_moments(moments)
        weight, _ = least_squares(moments)
        leading = predicted_directions(moments, weight, self.rank)  # (E, R)
        self.up.copy_(leading)
        self.down.copy_(leading.T @ weight)
        self.bias.copy_(moments.mean("y") - leading @ (leading.T @ (weight @ moments.mean("x"))))
        return self

    @torch.no_grad()
    def follow(self, matrix: Tensor, bias: Tensor) -> "LowRank":
        """Any matrix will do: the rank does not grow."""
        self.up.copy_(matrix @ self.up.to(matrix))
        self.bias.copy_(bias)
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "LowRank":
        """The nearest map of this rank, by the SVD, its scale shared by both factors.

        Directions beyond the map's own rank are stated ones (`completed`) that nothing reaches.
        """
        u, s, v = torch.linalg.svd(weight.double(), full_matrices=False)
        rounding = max(weight.shape) * torch.finfo(weight.dtype).eps
        held = min(int((s > rounding * s[0]).sum()), self.rank)
        u, root, v = u[:, :held], s[:held].sqrt(), v[:held]
        sign, beyond = pointed(u), self.rank - held
        self.up.copy_(completed(u * sign, beyond) * functional.pad(root, (0, beyond), value=1.0))
        self.down.copy_(functional.pad((root * sign)[:, None] * v, (0, 0, 0, beyond)))
        self.bias.copy_(bias)
        return self
