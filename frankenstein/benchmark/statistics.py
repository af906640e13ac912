"""Scores of a measure against what is known, and how sure they are: networks are drawn anew.

All are of many measures at once, in float64. NaN of a measure that is undefined for a pair.
"""

import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array: TypeAlias = NDArray[np.float64]
Index: TypeAlias = NDArray[np.intp]


def pairs_of(index: Index) -> tuple[Index, Index]:  # (K,) -> (P,), (P,)
    """All pairs of two networks among those that were drawn; one drawn twice is no pair."""
    a, b = np.triu_indices(len(index), 1)
    apart = index[a] != index[b]
    return index[a][apart], index[b][apart]


def spearman(
    values: Array,  # (M, P)
    truth: Array,  # (P,)
) -> Array:  # (M,)
    """Rank correlation in [-1, 1], ties at their mean rank; NaN where either is constant.

    Source: Spearman 1904, https://doi.org/10.2307/1412159.
    """
    x, y = rankdata(values, axis=1), rankdata(truth)
    x, y = x - x.mean(1, keepdims=True), y - y.mean()
    scale = np.sqrt((x**2).sum(1) * (y**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return _defined(values, np.where(scale > 0, x @ y / scale, np.nan))


def auprc(
    values: Array,  # (M, P)
    same: NDArray[np.bool_],  # (P,)
) -> Array:  # (M,)
    """Area under the curve of precision over recall, in (0, 1], as average precision.

    Σ (R_n - R_{n-1}) P_n over the distinct values, the largest first: nothing between two points is
    drawn as a line. A measure that knows nothing has `auprc_of_chance`. NaN where there is none.

    Source: Davis & Goadrich 2006, https://doi.org/10.1145/1143844.1143874.
    """
    total = same.sum()
    if not total or not len(same):
        return np.full(len(values), np.nan)
    order = np.argsort(-values, axis=1, kind="stable")
    hits, ordered = same[order], np.take_along_axis(values, order, 1)
    places = np.arange(1, len(same) + 1)
    precision = hits.cumsum(1) / places
    # A pair counts with all of its value: precision is that behind the last of them.
    last = np.ones_like(hits)
    last[:, :-1] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.where(last, places - 1, len(same) - 1)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return _defined(values, (hits * np.take_along_axis(precision, ends, 1)).sum(1) / total)


def auprc_of_chance(same: int, pairs: int) -> float:
    """The mean of `auprc` over all orders of the pairs: above their share where pairs are few.

    A pair of one group is at place i with one chance, and each of those before it is of one group
    with (same - 1) / (pairs - 1): summed over all places.

    >>> round(auprc_of_chance(3, 15), 4)
    0.3325
    """
    share = (same - 1) / (pairs - 1)
    return share + (1 - share) * sum(1 / i for i in range(1, pairs + 1)) / pairs


def violation_rate(
    values: Array,  # (M, P)
    one: NDArray[np.str_],  # (P,), groups of the first network of each pair
    other: NDArray[np.str_],
) -> Array:  # (M,)
    """How often a pair of two groups is more alike than a pair within one of these, in [0, 1].

    Every pair within a group against every pair of a network in it with one outside; a tie is half
    a violation, so that a constant has 0.5, as chance has. It is 1 less the conformity rate.
    """
    violations, total = np.zeros(len(values)), 0
    for group in np.unique(one[one == other]):
        inside, across = (one == group) & (other == group), (one == group) != (other == group)
        violations += exceeds(values[:, across], values[:, inside])
        total += int(inside.sum() * across.sum())
    return _defined(values, violations / total if total else np.full(len(values), np.nan))


def exceeds(
    one: Array,  # (M, P)
    other: Array,  # (M, Q)
) -> Array:  # (M,)
    """How many of all P Q pairs of values have a larger first one; a tie counts one half.

    Source: Mann & Whitney 1947, https://doi.org/10.1214/aoms/1177730491.
    """
    count = one.shape[1]
    ranks = rankdata(np.concatenate([one, other], axis=1), axis=1)
    return ranks[:, :count].sum(1) - count * (count + 1) / 2


def drawn_networks(groups: Sequence[str], draws: int) -> list[Index]:
    """Places of networks, drawn with replacement within each group: what other seeds would give.

    At least two networks of a group that has two. A group of one size is drawn alike in every test,
    for its networks are the same.

    Source: Efron 1979, https://doi.org/10.1214/aos/1176344552; of objects rather than of their
    pairs: Snijders & Borgatti 1999, Connections 22(2).
    """
    names = np.array(groups)
    members = {name: np.flatnonzero(names == name) for name in dict.fromkeys(groups)}
    generators = {name: np.random.default_rng(zlib.crc32(name.encode())) for name in members}

    def once(name: str) -> Index:
        own = members[name]
        while True:
            chosen = own[generators[name].integers(len(own), size=len(own))]
            if len(own) == 1 or len(np.unique(chosen)) > 1:
                return chosen

    return [np.concatenate([once(name) for name in members]) for _ in range(draws)]


def interval(draws: Array) -> tuple[Array, Array]:  # (B, M) -> (M,), (M,)
    """The middle 95 % of the draws that are defined; NaN of a measure that has none."""
    known = ~np.isnan(draws).all(0)
    low, high = np.full((2, draws.shape[1]), np.nan)
    if known.any():
        low[known], high[known] = np.nanquantile(draws[:, known], [0.025, 0.975], axis=0)
    return low, high


def ranks(scores: Array, larger: bool) -> Array:  # (..., M) -> (..., M)
    """Ranks from 1, the best; ties share their mean. NaN of NaN, which is not counted."""
    return rankdata(-scores if larger else scores, axis=-1, nan_policy="omit")


def _defined(values: Array, scores: Array) -> Array:
    return np.where(np.isnan(values).any(1), np.nan, scores)
