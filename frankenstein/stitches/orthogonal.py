"""Stitches that only rotate or reflect, with a shift or about the origin."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from frankenstein.accumulators.linear import completed
from frankenstein.accumulators.moments import Moments
from frankenstein.stitches.stitch import Stitch, same_number_of_units

# Of the largest singular value. Float32 rounding leaves up to 1e-12 of it, data rarely under 1e-8.
_OPEN = 1e-10
_RIGHT_ANGLE = 1e-6  # cosines below are those of directions at right angles


class Orthogonal(Stitch):
    """Q z + b with QᵀQ = 1, a random rotation at first."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        same_number_of_units("orthogonal", in_channels, out_channels)
        self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(out_channels, in_channels)))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def affine_map(self) -> tuple[Tensor, Tensor | None]:
        """Its own parameters."""
        return self.weight, self.bias

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Orthogonal":
        """The rotation of least squared error.

        Where units are dead or dependent, or examples few, data leave a part of it open: directions
        in which the covariance of source and target is under 1e-10 of its largest singular value,
        which is the share of the error that they can change. There it is the rotation nearest to
        the identity, of largest trace. Where that leaves a part open, too (one unit is dead in the
        source, another in the target), open directions are paired as `completed` orders them.

        Source: Schönemann 1966, https://doi.org/10.1007/BF02289451.
        """
        self.check_moments(moments)
        weight = _nearest_rotation(moments.covariance("xy").T)
        self.weight.copy_(weight)
        self.bias.copy_(moments.mean("y") - weight @ moments.mean("x"))
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Orthogonal":
        """The rotation nearest to the matrix, by its polar decomposition; see `solve`."""
        self.weight.copy_(_nearest_rotation(weight))
        self.bias.copy_(bias)
        return self

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Back to the nearest rotation: a projected gradient step."""
        self.weight.copy_(_nearest_rotation(self.weight.double()))


class Rotation(Orthogonal):
    """Q z with QᵀQ = 1: no shift, and none is taken off before it is solved.

    What Dr. Frankenstein's code calls `ls_orth`. Where representations have means, as behind a
    ReLU, most of what is fitted is to turn one mean into the other.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        del self.bias

    def affine_map(self) -> tuple[Tensor, Tensor | None]:
        """Its own parameter, and no bias."""
        return self.weight, None

    @torch.no_grad()
    def solve(self, moments: Moments) -> "Rotation":
        """The rotation about the origin of least squared error; what is open is as in `Orthogonal`.

        Source: Schönemann 1966, https://doi.org/10.1007/BF02289451.
        """
        self.check_moments(moments)
        means = torch.outer(moments.mean("y"), moments.mean("x"))
        self.weight.copy_(_nearest_rotation(moments.covariance("xy").T + means))
        return self

    @torch.no_grad()
    def approximate(self, weight: Tensor, bias: Tensor) -> "Rotation":
        """The rotation nearest to the matrix; there is no shift."""
        self.weight.copy_(_nearest_rotation(weight))
        return self


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """U Vᵀ of the SVD, and what the matrix leaves open as `Orthogonal.solve` says."""
    u, sizes, v = torch.linalg.svd(matrix.double())
    known = sizes > max(_OPEN, len(sizes) * torch.finfo(matrix.dtype).eps) * sizes[0]
    if known.all():
        return u @ v
    # Schönemann's answer again, between the directions that are open, to the identity.
    open_u, open_v = u[:, ~known], v[~known].T
    near_u, cosines, near_v = torch.linalg.svd(open_u.T @ open_v)
    near = cosines > _RIGHT_ANGLE
    u = torch.cat([u[:, known], open_u @ near_u[:, near]], 1)
    v = torch.cat([v[known].T, open_v @ near_v[near].T], 1)
    left = int((~near).sum())
    return completed(u, left) @ completed(v, left).T
