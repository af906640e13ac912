"""Where networks lie to each other: on a map of two axes, and in a tree."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from frankenstein.catalog import MEASURES

_STEPS, _STILL = 1000, 1e-10  # of the map, at most; and the relative change that ends them


def distances_of(values: Tensor, measure: str) -> Tensor:  # (K, K) -> (K, K)
    """How far apart: a distance as it is, of a similarity what is left to its perfect value.

    Both directions count where a measure has two; a thing is 0 from itself. NaN where there is no
    perfect value to be far from.
    """
    row = MEASURES[measure]
    perfect = math.nan if row.perfect is None else row.perfect
    apart = values if perfect == row.range[0] else perfect - values
    apart = (apart + apart.T) / 2
    return apart.masked_fill(torch.eye(len(apart), dtype=torch.bool), 0.0)


def map_of(distances: Tensor) -> tuple[Tensor, float]:  # (K, K) -> (K, 2), and Kruskal's stress-1
    """Points whose distances are as near as two axes allow, and how near that is.

    The stress is the root of Σ (distance - distance on the map)² over Σ (distance on the map)²: 0
    for a map that is exact, and above 0.2 poor. Metric scaling from classical scaling's start, so
    that nothing is drawn at random; the map may be turned and mirrored.

    Source: Torgerson 1952, https://doi.org/10.1007/BF02288916, for the start; de Leeuw 1977, SMACOF
    (Guttman's transform), for the steps; Kruskal 1964, https://doi.org/10.1007/BF02289565, for the
    stress.
    """
    count = len(distances)
    centre = torch.eye(count, dtype=torch.float64) - 1 / count
    sizes, vectors = torch.linalg.eigh(-0.5 * centre @ distances.square() @ centre)
    points = vectors[:, -2:].flip(1) * sizes[-2:].flip(0).clamp(min=0).sqrt()
    before = math.inf
    for _ in range(_STEPS):
        on_map = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
        stress = float((distances - on_map).square().sum())
        if before - stress <= _STILL * stress:
            break
        before = stress
        ratio = torch.where(on_map > 0, -distances / on_map, 0.0)
        points = (ratio - torch.diag(ratio.sum(1))) @ points / count
    largest = points.gather(0, points.abs().argmax(0, keepdim=True))
    points = points * torch.where(largest < 0, -1.0, 1.0)
    on_map = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    scale = float(on_map.square().sum())
    return points, math.sqrt(float((distances - on_map).square().sum()) / scale) if scale else 0.0


def tree_of(distances: Tensor) -> NDArray[np.float64]:  # (K, K) -> (K - 1, 4), as SciPy's linkage
    """Which networks join first: average linkage, neighbours ordered so that near ones are close.

    Source: Sokal & Michener 1958 (UPGMA); Bar-Joseph et al. 2001,
    https://doi.org/10.1093/bioinformatics/17.suppl_1.S22, for the order.
    """
    return linkage(squareform(distances.numpy(), checks=False), "average", optimal_ordering=True)


def order_of(tree: NDArray[np.float64]) -> list[int]:
    """The networks in the order of the tree's leaves."""
    return leaves_list(tree).tolist()
