"""Circuits of a layer: groups of its units that are active together over the data."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from frankenstein.errors import UserError, did_you_mean
from frankenstein.shapes import ShapeError

SIMILARITIES = ("correlation", "cosine")
METHODS = {"components": "single", "average": "average"}  # and the linkage that gives them
_SHUFFLES = 19  # what is above 19 nulls is above a 20th but once in 20: a test at 5 %
_ROUNDING = 1e-9  # similarities nearer than this are the same one, computed in another order


class CircuitGroups(NamedTuple):
    """The groups of a layer, the largest first, and what they were found by."""

    groups: tuple[Tensor, ...]  # numbers of units, ascending; at least two in each
    threshold: float  # NaN where no two units live
    dead: Tensor  # units that do not vary: in no group
    null: float  # the largest similarity of two units whose examples are shuffled
    null_groups: int  # groups at that threshold once the examples of all units are shuffled


def find_circuits(
    z: Tensor,  # (N, C), one row per example
    threshold: float | None = None,
    method: str = "components",
    similarity: str = "correlation",
    shuffles: int = _SHUFFLES,
    seed: int = 0,
) -> CircuitGroups:
    """Groups of two or more units that are active together; a unit is in one of them or in none.

    "components" links every two units whose similarity is at least the threshold and takes the
    connected components; "average" joins two groups while the mean similarity between them is.
    Similarity has a sign: a unit that falls silent when another speaks is not of its group.

    Unless it is given, the threshold is the one that leaves the most groups (the lowest, if many
    do): above it groups fall apart into single units, below it they run together into one. It is
    never below the largest similarity of units whose examples are shuffled, each by itself, which
    leaves every unit what it is and nothing between them. In noise there are no groups so, but by a
    chance of 1 in `shuffles` + 1; few examples raise that floor, and so make no groups.

    Cost: a product of matrices (N, C), one more for every two shuffles, a tree over C²/2 pairs.

    Raises:
        ShapeError: if z is no matrix.
        UserError: for an unknown method or similarity, or NaN or Inf in z.

    >>> one, other = torch.rand(2, 50, generator=torch.Generator().manual_seed(0))
    >>> z = torch.stack([one, other, one, 1 - other, torch.zeros(50)], 1)
    >>> find_circuits(z).groups, find_circuits(z).dead
    ((tensor([0, 2]),), tensor([4]))
    """
    for word, known in ((method, METHODS), (similarity, SIMILARITIES)):
        if word not in known:
            hint = did_you_mean(word, known)
            raise UserError(f"unknown {word!r}; known: {', '.join(known)}{hint}")
    rows = _rows(z, similarity)
    living = (rows.abs().sum(0) > 0).nonzero()[:, 0]
    dead = (rows.abs().sum(0) == 0).nonzero()[:, 0]
    if len(living) < 2:
        return CircuitGroups((), math.nan, dead, math.nan, 0)
    rows = rows[:, living]
    generator = torch.Generator().manual_seed(seed)
    null = _largest_by_chance(rows, shuffles, generator)
    tree = _tree(rows, method)
    if threshold is None:
        threshold = _most_groups(tree, null)
    groups = [living[group.to(living.device)] for group in _cut(tree, threshold)]
    chance = _tree(_shuffled(rows, generator), method)
    return CircuitGroups(tuple(groups), threshold, dead, null, len(_cut(chance, threshold)))


def _rows(z: Tensor, similarity: str) -> Tensor:  # (N, C) float64
    """Columns of length 1 whose inner products are the similarities; of zeros for dead units."""
    if z.ndim != 2:
        raise ShapeError(
            f"activations are one row per example, got shape {tuple(z.shape)}; use pooled(z)"
        )
    z = z.double()
    if not z.isfinite().all():
        raise UserError("NaN or Inf in a representation; look at the network that made it")
    mean = z.mean(0)
    centred = z - mean
    # What rounding leaves of a constant is no life.
    alive = centred.square().mean(0) > 1e-24 * mean.square()
    z = centred if similarity == "correlation" else z
    return torch.where(alive, z / z.norm(dim=0), 0)


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """The examples of every unit in an order of its own."""
    orders = torch.rand(rows.shape[::-1], generator=generator).argsort(1)
    return rows.gather(0, orders.T.to(rows.device))


def _largest_by_chance(rows: Tensor, shuffles: int, generator: torch.Generator) -> float:
    """The largest similarity of two units whose examples are shuffled, so many times over."""
    found = [rows.new_tensor(-1.0)]
    for _ in range(0, shuffles, 2):
        # Of two units one shuffled is enough: which one makes two nulls of one product.
        product = rows.T @ _shuffled(rows, generator)
        found += [product.tril(-1).add(torch.ones_like(product).triu(), alpha=-2).max()]
        found += [product.triu(1).add(torch.ones_like(product).tril(), alpha=-2).max()]
    return float(torch.stack(found[: shuffles + 1]).max())


def _tree(rows: Tensor, method: str) -> NDArray[np.float64]:
    """The order in which units join to groups, as scipy's linkage has it; distance is 1 - s."""
    distance = (1 - rows.T @ rows).clamp(min=0).cpu().numpy()
    return linkage(squareform(distance, checks=False), METHODS[method])


def _most_groups(tree: NDArray[np.float64], null: float) -> float:
    """The lowest similarity at which there are the most groups, not below the null."""
    units, heights = len(tree) + 1, tree[:, 2]
    # Two single units make a group more, two groups a group less.
    groups = np.cumsum(1 - (tree[:, :2] >= units).sum(1))
    ends = np.append(np.diff(heights) > _ROUNDING, True)  # of joins at one and the same height
    groups = np.where(ends & (1 - heights >= null), groups, -1)
    best = len(groups) - 1 - int(groups[::-1].argmax())
    return null if groups[best] < 0 else float(1 - heights[best] - _ROUNDING)


def _cut(tree: NDArray[np.float64], threshold: float) -> list[Tensor]:
    """The groups of two units or more at a threshold, the largest first."""
    labels = torch.as_tensor(fcluster(tree, 1 - threshold, "distance"))
    sizes = labels.bincount()
    order = sizes.argsort(descending=True, stable=True)
    return [(labels == i).nonzero()[:, 0] for i in order.tolist() if sizes[i] > 1]
