"""Shared neighbours of all pairs of layers for many draws of examples, from distances made once."""

from collections.abc import Iterable

import torch
from torch import Tensor

from frankenstein.measures.dissimilarities import cosine_distances
from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.neighbours import nearest


def resampled_knn(
    xs: Iterable[Tensor],  # (N, D) each: rows of the same examples
    ys: Iterable[Tensor],
    inputs: Tensor | None = None,  # not needed, as for all measures but some
    *,
    k: int = 10,
) -> ValueOfDraw:
    """`mutual_knn` of all pairs of layers.

    Neighbours are looked for once a layer and draw, among distances that are made once, and not at
    all in a shuffle. Cost of a draw: O(n² L M), whatever the number of features.
    """
    sides = [[cosine_distances(rows) for rows in side] for side in (xs, ys)]
    everyone = [[_near(distances, k) for distances in side] for side in sides]

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        near = []
        for index, distances, known in zip((i, j), sides, everyone, strict=True):
            index = index.to(distances[0].device)
            cells = index[:, None], index
            if len(index) == len(distances[0]):
                near.append([z[cells].flatten() for z in known])
            else:
                near.append([_near(z[cells], k).flatten() for z in distances])
        return _shared(*near) / (len(i) * k)

    return value


def _near(distances: Tensor, k: int) -> Tensor:  # (n, n) float32
    """As `nearest`; NaN where all others are neighbours, or nobody is nearer than anybody else."""
    if len(distances) - 1 <= k:
        return torch.full_like(distances, torch.nan, dtype=torch.float32)
    near = nearest(distances, k).float()
    return torch.where((near < 1).all(), torch.nan, near)


def _shared(x: list[Tensor], y: list[Tensor]) -> Tensor:  # (L, M) float64
    """Sums of the smaller of two numbers: their product, where all are 0 or 1."""
    left, right = torch.stack(x), torch.stack(y)
    shared = (left @ right.T).double()
    parts = [((z > 0) & (z < 1)).any(1) for z in (left, right)]
    for a in parts[0].nonzero().flatten().tolist():
        shared[a] = torch.minimum(left[a], right).double().sum(1)
    for b in parts[1].nonzero().flatten().tolist():
        shared[:, b] = torch.minimum(left, right[b]).double().sum(1)
    return shared
