"""What every grounded test is: networks of some groups, and scores of what measures say of them.

Source: Klabunde et al. 2025 (ReSi), https://arxiv.org/abs/2408.00531, for the design.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from frankenstein.benchmark.statistics import (
    Array,
    Index,
    auprc,
    auprc_of_chance,
    pairs_of,
    violation_rate,
)

if TYPE_CHECKING:
    from frankenstein.benchmark.readings import Readings

RESI = "Klabunde et al. 2025, ReSi, https://arxiv.org/abs/2408.00531"


@dataclass(frozen=True)
class Group:
    """Networks that differ in their seeds alone."""

    name: str
    changes: Mapping[str, Any]  # fields of their TrainPlan
    times: int = 1  # as many networks as there are seeds, times this
    alike: bool = True  # False: no two of them have anything in common


@dataclass(frozen=True)
class Compared:
    """What all measures say of the networks of a test; larger is more alike."""

    groups: tuple[str, ...]  # (K,) of every network; its own name if it has nothing in common
    accuracy: Array  # (K,) on the images that all were shown
    disagreement: Array  # (K, K) share of images
    divergence: Array  # (K, K) mean Jensen-Shannon divergence of answers, in nats
    values: Array  # (M, K, K), symmetric: the mean of both directions
    # Of a test that asks for more: (M, K) with itself, moved; (M, K, L, L) of its layers.
    more: Array | None = None  # NaN where it is undefined


@dataclass(frozen=True)
class Score:
    """How well measures do: of networks that are drawn, by their places, a number a measure."""

    name: str  # "Spearman", "AUPRC", "violation rate"
    of: Callable[[Index], Array]  # (K,) -> (M,)
    chance: float  # what a measure that knows nothing has
    larger: bool = True  # whether larger is better


@dataclass(frozen=True)
class Grounded:
    """A test."""

    question: str  # for which a reader takes a measure
    source: str
    groups: tuple[Group, ...]
    scores: Callable[[Compared], Sequence[Score]]
    marked: bool = False  # whether images have a marker, anywhere
    more: "Callable[[Readings], Readings] | None" = None  # what each network is held against, too
    layers: bool = False  # whether layers of each network are compared, in place of networks
    knows: bool = False  # whether similarity of answers must be at the top


STANDARD = Group("standard", {})


def separation(found: Compared) -> list[Score]:
    """Whether networks of one group are more alike than networks of two."""
    groups = np.array(found.groups)
    everyone = np.arange(len(groups))

    def area(index: Index) -> Array:
        i, j = pairs_of(index)
        return auprc(found.values[:, i, j], groups[i] == groups[j])

    def violations(index: Index) -> Array:
        i, j = pairs_of(index)
        return violation_rate(found.values[:, i, j], groups[i], groups[j])

    i, j = pairs_of(everyone)
    chance = auprc_of_chance(int((groups[i] == groups[j]).sum()), len(i))
    return [
        Score("AUPRC", area, chance),
        Score("violation rate", violations, 0.5, larger=False),
    ]


def violated_by(found: Compared, sign: int = 1) -> list[Score]:
    """How often another network is more alike (of `sign` -1 less) than what `more` is of.

    Every pair of networks, seen from either of them.
    """
    assert found.more is not None
    own = sign * found.more

    def violations(index: Index) -> Array:
        i, j = pairs_of(index)
        both = [above(sign * found.values[:, i, j], own[:, one]) for one in (i, j)]
        return np.concatenate(both, axis=1).mean(1)

    return [Score("violation rate", violations, 0.5, larger=False)]


def above(one: Array, other: Array) -> Array:
    """1 where the first is larger, one half of a tie, NaN where either is unknown."""
    return np.where(np.isnan(one + other), np.nan, (one > other) + 0.5 * (one == other))


def levels(name: str, field: str, several: Sequence[Any]) -> tuple[Group, ...]:
    """A group for each value of a field of training."""
    return tuple(Group(f"{name}-{value:g}", {field: value}) for value in several)
