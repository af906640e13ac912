"""Means over pairs of networks, with intervals that know that pairs share networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.special import stdtrit  # of scipy.special, since scipy.stats takes a second to import
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean over pairs of networks."""

    value: float
    low: float  # ends of the 95 % interval; NaN where it cannot be known
    high: float
    pairs: int


def pair_means(
    values: Tensor,  # (K, K, ...), of network i with network j
    chosen: Tensor | None = None,  # (K, K) bool, symmetric: the pairs; all if absent
) -> tuple[Tensor, Tensor]:  # (...), and (K, ...) without each network in turn
    """Mean over ordered pairs of two networks, and what it is without each network.

    NaN where no pair is left.
    """
    count = len(values)
    others = ~torch.eye(count, dtype=torch.bool)
    chosen = others if chosen is None else chosen & others
    weights = chosen.double().reshape(count, count, *[1] * (values.ndim - 2))
    parts = torch.where(weights > 0, values, 0.0)
    total, number = parts.sum((0, 1)), weights.sum((0, 1))
    without = total - parts.sum(0) - parts.sum(1)
    left = number - weights.sum(0) - weights.sum(1)
    return _ratio(total, number), _ratio(without, left.expand_as(without))


def estimate(
    mean: Tensor,  # (), or of any shape
    without: Tensor,  # (K, ...): the same without each network in turn
    over_examples: Tensor | float = 0.0,  # variance of the mean over other examples
    pairs: int | None = None,  # of two networks each, that the mean is over; all if absent
    limits: tuple[float, float] = (-math.inf, math.inf),  # where the interval is cut
) -> tuple[Tensor, Tensor]:  # ends of the interval, each of the mean's shape
    """A 95 % interval for what such networks, and examples, give on average.

    A network is in many pairs, so that pairs are not independent draws and their number says little
    of how sure their mean is. The variance over networks is the jackknife's that leaves out a
    network with all of its pairs; the variance over examples, if it is given, is added, and half
    the width is that of Student's t with K - 1 degrees of freedom, or one less than there are pairs
    if these are fewer. Both parts err to the wide side:
    the jackknife counts what is of a pair alone twice, and what is of a network on an example alone
    is in both parts. NaN for fewer than three networks, or where leaving one out leaves no pair.

    Source: Arvesen 1969, https://doi.org/10.1214/aoms/1177697287, on jackknifing U-statistics;
    Efron & Stein 1981, https://doi.org/10.1214/aos/1176345462, on the side to which it errs; Owen
    2007, https://doi.org/10.1214/07-AOAS122, on adding up what two crossed factors give.
    """
    count = len(without)
    freedom = min(count, count if pairs is None else pairs) - 1
    if count < 3 or freedom < 1:
        nothing = torch.full_like(mean, math.nan)
        return nothing, nothing
    variance = (count - 1) / count * (without - without.mean(0)).square().sum(0)
    half = stdtrit(freedom, 0.975) * (variance + over_examples).sqrt()
    return (mean - half).clamp(*limits), (mean + half).clamp(*limits)


def over_pairs(
    values: Tensor,  # (K, K, ...), of network i with network j
    draws: Tensor | None = None,  # (B, K, K, ...): the same on random halves of the examples
    limits: tuple[float, float] = (-math.inf, math.inf),  # of the measure
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # each (...)
    """Mean over pairs, the ends of its interval, and how far pairs are from it (root mean square).

    Page, summary and CSV have their intervals from here.
    """
    mean, without = pair_means(values)
    over = 0.0 if draws is None else pair_means(draws.movedim(0, -1))[0].var(-1)
    low, high = estimate(mean, without, over, limits=limits)
    spread = pair_means((values - mean).square())[0].sqrt()
    return mean, low, high, spread


@dataclass(frozen=True)
class Grouping:
    """Networks that have a property in common against those that differ in it."""

    name: str  # of the property, such as "architecture"
    groups: dict[str, int]  # what they have, and how many networks have it
    within: Estimate  # mean over pairs of one group
    between: Estimate  # mean over pairs of two groups
    difference: Estimate  # between less within
    p: float  # share of orders of the networks whose difference is as large, either way


def grouping(
    name: str,
    labels: Sequence[str],  # of every network
    values: Tensor,  # (K, K)
    draws: Tensor | None = None,  # (B, K, K): the same on random halves of the examples
    seed: int = 0,
    shuffles: int = 999,
    limits: tuple[float, float] = (-math.inf, math.inf),  # of the measure
) -> Grouping | None:
    """Whether networks of one group are more alike than networks of two; None of one group only.

    p is that of shuffling the labels over the networks, so that it knows of shared networks, too:
    (1 + count) / (1 + shuffles). Two networks each of two groups have three orders only, and p is
    at least 1/3 there.

    Source: Mantel 1967, https://aacrjournals.org/cancerres/article/27/2_Part_1/209/476508, on
    shuffling objects rather than pairs; Clarke 1993, ANOSIM,
    https://doi.org/10.1111/j.1442-9993.1993.tb00438.x, on groups.
    """
    same = torch.tensor([[one == other for other in labels] for one in labels])
    groups = {label: list(labels).count(label) for label in dict.fromkeys(labels)}
    if len(groups) < 2 or max(groups.values()) < 2:
        return None
    parts = []
    for chosen in (same, ~same):
        mean, without = pair_means(values, chosen)
        spread = None if draws is None else pair_means(draws.movedim(0, -1), chosen)[0]
        parts.append((mean, without, spread, int(chosen.sum() - chosen.diagonal().sum()) // 2))
    (inside, inside_without, inside_draws, p1), (across, across_without, across_draws, p2) = parts
    known = across_draws is not None and inside_draws is not None
    apart = across_draws - inside_draws if known else None  # type: ignore[operator]
    generator = torch.Generator().manual_seed(seed)
    orders = torch.stack(
        [torch.randperm(len(labels), generator=generator) for _ in range(shuffles)]
    )
    found = _difference(values, same)
    shuffled = _difference(values, same[orders[:, :, None], orders[:, None, :]])
    count = int((shuffled.abs() >= found.abs() * (1 - 1e-9)).sum())
    return Grouping(
        name,
        groups,
        estimated(inside, inside_without, inside_draws, p1, limits),
        estimated(across, across_without, across_draws, p2, limits),
        estimated(across - inside, across_without - inside_without, apart, p1 + p2),
        (1 + count) / (1 + shuffles) if found.isfinite() else math.nan,
    )


def estimated(
    mean: Tensor,  # ()
    without: Tensor,  # (K,)
    draws: Tensor | None,  # (B,) on halves of the examples
    pairs: int,
    limits: tuple[float, float] = (-math.inf, math.inf),  # of the measure
) -> Estimate:
    """A mean with its interval, as numbers."""
    over = 0.0 if draws is None else draws.var()
    low, high = estimate(mean, without, over, pairs, limits)
    return Estimate(float(mean), float(low), float(high), pairs)


def _difference(
    values: Tensor,  # (K, K)
    same: Tensor,  # (..., K, K) bool
) -> Tensor:  # (...)
    """Mean over pairs of two groups, less that over pairs of one."""
    inside, across = same & ~torch.eye(len(values), dtype=torch.bool), ~same
    means = [
        torch.where(one, values, 0).sum((-2, -1)) / one.sum((-2, -1)) for one in (across, inside)
    ]
    return means[0] - means[1]


def _ratio(total: Tensor, number: Tensor) -> Tensor:
    return torch.where(number > 0, total / number, math.nan)
