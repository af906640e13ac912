"""How unlike every example is every other, within one representation."""

import math

import torch
from torch import Tensor


def squared_distances(
    rows: Tensor,  # (N, D)
) -> Tensor:  # (N, N) float64
    """Squared Euclidean distance of every row to every other; exactly 0 for equal rows.

    Cost: one product of N x D by D x N. What is left of two rows' squares by rounding is 0.
    """
    rows = rows.double()
    # Distances do not feel a shift, their digits do: the median lies where most rows are.
    rows = rows - rows.median(0).values
    square = rows.square().sum(1)
    both = square[:, None] + square
    product = rows @ rows.T
    distances = both - (product + product.T)
    rounding = (4 + math.sqrt(rows.shape[1])) * torch.finfo(rows.dtype).eps
    return torch.where(distances > rounding * both, distances, 0).fill_diagonal_(0)


def cosine_distances(
    rows: Tensor,  # (N, D)
) -> Tensor:  # (N, N) float64
    """One minus the cosine of every row with every other, in [0, 2]; 1 with a row of zeros."""
    rows = rows.double()
    norm = rows.norm(dim=1, keepdim=True)
    zero = norm[:, 0] == 0
    # 1 - cos = |a - b|² / 2 for unit vectors, which keeps its digits where the cosine is near 1.
    distances = squared_distances(rows / norm.where(norm > 0, 1)) / 2
    distances = distances.where(distances > 1e-29, 0)  # unit vectors are no better than that
    return torch.where(zero[:, None] | zero, 1.0, distances).fill_diagonal_(0)


def patterns(
    rows: Tensor,  # (N, D)
) -> tuple[Tensor, Tensor]:  # (N, D) float64, (N,) bool
    """Every row minus its own mean, and whether anything is left of it.

    Cosines of patterns are Pearson correlations over units.
    """
    rows = rows.double()
    centred = rows - rows.mean(1, keepdim=True)
    left = centred.norm(dim=1) > 1e-14 * rows.norm(dim=1)
    return centred, left
