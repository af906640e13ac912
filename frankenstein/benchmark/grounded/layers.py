"""Layers of one network: is a near layer more like it than one further on?

Of three layers in order the outer two are to be the least alike, seen from either of them.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from frankenstein.benchmark.grounded.grounded import RESI, STANDARD, Compared, Grounded, Score
from frankenstein.benchmark.statistics import Array, Index, spearman


def _scores(found: Compared) -> list[Score]:
    assert found.more is not None
    networks = found.more.shape[1]
    correlations, violations = (
        np.stack([of(found.more[:, k]) for k in range(networks)]) for of in (_ordered, _violated)
    )

    def mean(each: Array) -> Callable[[Index], Array]:
        return lambda index: each[index].mean(0)

    return [
        Score("Spearman", mean(correlations), 0.0),
        Score("violation rate", mean(violations), 0.5, larger=False),
    ]


def _ordered(values: Array) -> Array:  # (M, L, L) -> (M,)
    i, j = np.triu_indices(values.shape[-1], 1)
    return spearman(values[:, i, j], (i - j).astype(float))


def _violated(values: Array) -> Array:  # (M, L, L) -> (M,)
    rates = []
    for i, j, k in combinations(range(values.shape[-1]), 3):
        outer = values[:, i, k]
        for inner in (values[:, i, j], values[:, j, k]):
            rates.append((outer > inner) + 0.5 * (outer == inner))
    pairs = np.triu_indices(values.shape[-1], 1)  # a layer with itself is not asked about
    return np.where(np.isnan(values[:, *pairs]).any(1), np.nan, np.mean(rates, axis=0))


TEST = Grounded(
    "How far apart are two layers?",
    f"{RESI}; Kornblith et al. 2019, https://arxiv.org/abs/1905.00414, for the idea",
    (STANDARD,),
    _scores,
    layers=True,
)
