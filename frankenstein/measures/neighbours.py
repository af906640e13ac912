"""Are the same examples near to each other in both representations?"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.errors import UserError
from frankenstein.measures.dissimilarities import cosine_distances
from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined


def mutual_knn(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    k: int = 10,
) -> Tensor:  # ()
    """Share in [0, 1] of an example's k nearest neighbours in x that are so in y; a mean.

    Nearest by cosine. About k / (N - 1) for unrelated ones, so N belongs to the value. Where
    several examples are equally far and not all can be among the k, each is in by a part. NaN with
    a warning where a representation does not vary, or all others are neighbours (N - 1 <= k).

    Source: Huh et al. 2024, eq. 11, https://arxiv.org/abs/2405.07987.
    Cost: O(N² (D + E)) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or only sums of them.
    """
    return compared(x, y, k, "mutual_knn", _mutual)


class Neighbours(NamedTuple):
    """What is near to what in one representation, of N examples."""

    distances: Tensor  # (N, N) float64, one minus the cosine; on the diagonal 1 for rows of zeros
    near: Tensor  # (N, N) from 0 to 1: how far the column's example is among the row's k nearest
    k: int


def compared(
    x: Tensor | Reservoir,
    y: Tensor | None,
    k: int,
    name: str,  # of the measure, in warnings
    between: Callable[[Neighbours, Neighbours], Tensor],
    otherwise: str = "",  # why `between` gives NaN
) -> Tensor:  # ()
    """What `between` says of the neighbours in both; NaN with a warning as for `mutual_knn`.

    Raises:
        UserError: for a k under 1, and as `mutual_knn` does.
    """
    if k < 1:
        raise UserError(f"k is how many neighbours count, 1 or more, got {k}")
    examples = reservoir_of(x, y)
    reason = nothing_to_compare(examples)
    if not reason and examples.n_kept - 1 <= k:
        reason = f"all other examples of {examples.n_kept} are among the {k} nearest"
    if reason:
        return undefined(examples.x.double(), name, reason)
    sides = []
    for rows, called in ((examples.x, "first"), (examples.y, "second")):
        distances = angles(rows)
        if (side := neighbours(k, distances)) is None:
            reason = f"all pairs of examples are equally near in the {called} representation"
            return undefined(distances, name, reason)
        sides.append(side)
    value = between(*sides)
    return undefined(value, name, otherwise) if value.isnan() else value


def angles(rows: Tensor) -> Tensor:  # (N, N) float64
    """One minus the cosine of every row with every row, a row of zeros with itself included."""
    distances = cosine_distances(rows)
    distances.diagonal().copy_((rows == 0).all(1))
    return distances


def neighbours(k: int, distances: Tensor) -> Neighbours | None:
    """None where all others are neighbours, or nobody is nearer than anybody else.

    The latter if all lie in one direction, or all at right angles.
    """
    if len(distances) - 1 <= k:
        return None
    near = nearest(distances, k)
    return None if (near < 1).all() else Neighbours(distances, near, k)


def _mutual(x: Neighbours, y: Neighbours) -> Tensor:  # ()
    """Share of the k nearest that are so in both; a mean over examples."""
    return in_range(torch.minimum(x.near, y.near).sum(1).mean() / x.k)


def nearest(
    distances: Tensor,  # (N, N)
    k: int,
) -> Tensor:  # (N, N)
    """How far each column's example is among the k nearest of the row's, from 0 to 1."""
    distances = distances.clone().fill_diagonal_(torch.inf)
    furthest = distances.kthvalue(k, dim=1, keepdim=True).values
    # Equal up to rounding.
    nearer = distances < furthest * (1 - 1e-12)
    tied = ~nearer & (distances <= furthest * (1 + 1e-12))
    part = (k - nearer.sum(1, keepdim=True)).double() / tied.sum(1, keepdim=True)
    return nearer + tied * part


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
        return in_range(_shared(*near) / (len(i) * k), rounding=1e-5)

    return value


def _near(distances: Tensor, k: int) -> Tensor:  # (n, n) float32
    """Of `neighbours`; NaN where there are none."""
    found = neighbours(k, distances)
    nothing = torch.full_like(distances, torch.nan, dtype=torch.float32)
    return nothing if found is None else found.near.float()


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
