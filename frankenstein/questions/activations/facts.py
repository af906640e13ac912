"""What can be said of the units of one layer of one network from their activations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from frankenstein.errors import UserError
from frankenstein.intervals import chance_of, family_wise, mean_and_spread
from frankenstein.labels import several
from frankenstein.questions.streams import Histogram, TopExamples

_NEAR = 0.025  # of the range of a bounded nonlinearity: beyond ±0.95 for tanh
_STUCK = 0.95  # of its values, for a unit to count as saturated
PLAIN = ("dead", "saturated_values", "saturated_units", "zeros", "rms", "sparseness")
BY_CHANCE = ("selectivity", "class_variance", "dimension")  # each has a number by chance beside it


@dataclass(frozen=True)
class ActivationFacts:
    """Numbers of all units of a layer, over all examples and places."""

    dead: float  # share of units that have the same value for every example at every place
    saturated_values: float  # share of values within 2.5 % of a bound; NaN without bounds
    saturated_units: float  # share of units of whose values at least 95 % are; likewise
    zeros: float  # share of values that are exactly 0
    rms: float  # root of the mean square of all values
    sparseness: float  # mean over live units: 0 if all values are of one size, 1 if one is not 0
    dead_units: Tensor  # (C,), bool
    histogram: tuple[Tensor, Tensor]  # counts and edges, of all units together


class ActivationSums:
    """Streaming sums of a layer, and each unit's most activating examples.

    An example activates a unit by its largest value over places. Memory does not grow with
    examples.
    """

    def __init__(self, bounds: tuple[float, float] | None = None, k: int = 8) -> None:
        """Start empty; `bounds` are those of the layer's nonlinearity, infinite on an open side."""
        self.bounds = bounds
        self.top, self.histogram = TopExamples(k), Histogram()
        self.n = 0  # values of each unit
        self._sums: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(
        self,
        z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
    ) -> None:
        """Add a batch."""
        z = z.flatten(2) if z.ndim == 4 else z.flatten(1, -2).mT if z.ndim > 2 else z[..., None]
        self.n += z.shape[0] * z.shape[2]
        peak = z.amax(2)
        self.top.update(peak)
        self.histogram.update(z)
        self._merge("low", z.amin(2).amin(0), torch.minimum)
        self._merge("high", peak.amax(0), torch.maximum)
        self._merge("active", torch.count_nonzero(z), torch.add)
        # Norms over places read the numbers once, and copy none; the sums over examples are exact.
        size, root = (torch.linalg.vector_norm(z, order, dim=2).double() for order in (1, 2))
        self._merge("size", size.sum(0), torch.add)
        self._merge("square", root.square().sum(0), torch.add)
        if self.bounds is not None:
            low, high = self.bounds
            near = _NEAR * (high - low if low > -torch.inf else high)
            at_bound = (z >= high - near) | (z <= low + near)
            self._merge("saturated", at_bound.sum(2).sum(0), torch.add)

    def result(self) -> ActivationFacts:
        """What the sums say.

        Sources: sparseness over examples is that of Vinje & Gallant 2000,
        https://doi.org/10.1126/science.287.5456.1273, after Treves & Rolls 1991, of sizes |z|.

        Raises:
            UserError: if there were no examples, or NaN or Inf among the activations.
        """
        if not self.n:
            raise UserError("no examples were given; is the data set empty?")
        histogram = self.histogram.result()
        dead = self._sums["low"] == self._sums["high"]
        ratio = self._sums["size"].square() / self.n / self._sums["square"]
        sparseness = ((1 - ratio) / (1 - 1 / self.n))[~dead] if self.n > 1 else ratio[:0]
        stuck = dead.new_full(dead.shape, torch.nan, dtype=torch.float64)
        if self.bounds is not None:
            stuck = self._sums["saturated"].double() / self.n
        saturated = torch.where(stuck.isnan(), torch.nan, (stuck >= _STUCK).double())
        return ActivationFacts(
            dead=float(dead.double().mean()),
            saturated_values=float(stuck.mean()),
            saturated_units=float(saturated.mean()),
            zeros=1 - float(self._sums["active"]) / (self.n * len(dead)),
            rms=float((self._sums["square"] / self.n).mean().sqrt()),
            sparseness=float(sparseness.mean()),
            dead_units=dead,
            histogram=histogram,
        )

    def _merge(self, name: str, amount: Tensor, how: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._sums[name] = how(self._sums[name], amount) if name in self._sums else amount


def class_selectivity(
    z: Tensor,  # (N, C), activations that are not negative: a mean over places each
    labels: Tensor,  # (N,) classes, or (N, L) of several labels
) -> Tensor:  # (C,), in [0, 1]
    """(largest - others) / (largest + others) of each unit's mean activations by class.

    `others` is the mean over the other classes' means. 0: all classes alike; 1: active for one
    class only. NaN for a unit with a class whose mean is negative, of which the index says nothing,
    for dead units, and where fewer than two classes have examples.

    Source: Morcos et al. 2018, https://arxiv.org/abs/1803.06959, section 2.3.
    """
    means = _class_means(z, labels)[0]
    means = torch.where((means < 0).any(0), torch.nan, means)
    largest = means.amax(0)
    others = (means.sum(0) - largest) / (len(means) - 1)
    return (largest - others) / (largest + others)


def class_variance(
    z: Tensor,  # (N, C)
    labels: Tensor,  # (N,)
) -> Tensor:  # (C,), in [0, 1]
    """Share of each unit's variance that lies between the classes (eta squared), whatever its sign.

    With labels at random about (classes - 1) / (N - 1). NaN for dead units.

    Source: Fisher 1925, the correlation ratio of Pearson 1911.
    """
    means, counts = _class_means(z, labels)
    centre = z.double().mean(0)
    between = (counts[:, None] * (means - centre).square()).sum(0)
    total = (z.double() - centre).square().sum(0)
    constant = z.amax(0) == z.amin(0)  # where rounding is all that is left
    return torch.where(constant, torch.nan, between / total).clamp(0, 1)


def participation_ratio(
    z: Tensor,  # (N, C)
) -> Tensor:  # ()
    """Effective dimension, 1 to C: (Σλ)² / Σλ² over the eigenvalues λ of the covariance.

    C if the units vary alike and independently, 1 if all move together. It cannot exceed N - 1, and
    comes close to C only where N is many times C. NaN if nothing varies.

    Source: Gao et al. 2017, https://doi.org/10.1101/214262.
    """
    z = z.double() - z.double().mean(0)
    # The smaller of the two products: both have the same eigenvalues but for zeros.
    product = z.T @ z if z.shape[1] <= len(z) else z @ z.T
    return product.trace().square() / product.square().sum()


def _class_means(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:  # (L, C), (L,)
    """Mean activations of the classes that have examples, and how many these have."""
    member = labels.double() if several(labels) else functional.one_hot(labels).double()
    member = member[:, member.sum(0) > 0]
    counts = member.sum(0)
    return (member.T @ z.double()) / counts[:, None], counts


@dataclass(frozen=True)
class LayerAnswer:
    """One layer of one network."""

    role: str
    layer: str
    units: int
    facts: ActivationFacts
    by_chance: Mapping[str, tuple[float, float]]  # of BY_CHANCE: the number, and what chance leaves

    @property
    def numbers(self) -> Mapping[str, float]:
        """Every number by its name."""
        numbers = {name: getattr(self.facts, name) for name in PLAIN}
        for name, (value, chance) in self.by_chance.items():
            numbers |= {name: value, f"{name}_shuffled": chance}
        return numbers


@dataclass(frozen=True)
class TopImages:
    """Units of the sender beside those of the receiver that are most like them, by their images."""

    matched: Tensor  # (2, R): the units shown, the sender's and the receiver's
    correlations: Tensor  # (R,): of each pair
    # (R, K, C, H, W) uint8 each; grey where a unit is dead; None if examples are no images.
    images: tuple[Tensor, Tensor] | None
    mean: float  # correlation, over all pairs
    untrained: tuple[float, ...]  # likewise of pairs of untrained networks


@dataclass(frozen=True)
class ActivationsAnswer:
    """All layers of all networks; lists go by pairs of layers, from the first to the last.

    Sender and receiver are held against untrained networks, several each.
    """

    images: int
    pairs: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]  # what tables call each pair
    layers: tuple[Mapping[str, LayerAnswer], ...]  # by role, trained networks
    untrained: tuple[Mapping[str, Sequence[LayerAnswer]], ...]  # by role: those it is held against
    top: tuple[TopImages, ...]

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"dead/sender/relu3": ..., "dimension_spread/untrained_sender/relu3": ...}."""
        numbers = {
            f"{name}/{one.role}/{one.layer}": value
            for layers in self.layers
            for one in layers.values()
            for name, value in one.numbers.items()
        }
        for held_against in self.untrained:
            for role, twins in held_against.items():
                for name, (mean, spread) in spreads_of(twins).items():
                    place = f"untrained_{role}/{twins[0].layer}"
                    numbers |= {f"{name}/{place}": mean, f"{name}_spread/{place}": spread}
        for role, name in product(self.untrained[0], BY_CHANCE):
            chances = {}
            for layers, untrained in zip(self.layers, self.untrained, strict=True):
                controls = [twin.by_chance[name][0] for twin in untrained[role]]
                value = layers[role].by_chance[name][0]
                chances[layers[role].layer] = chance_of(value, controls, "either")
            for layer, p in family_wise(chances).items():
                numbers[f"{name}_p/{role}/{layer}"] = p
        for label, top, p in zip(self.labels, self.top, self.top_chances, strict=True):
            numbers[f"matched/{label}"], numbers[f"matched_p/{label}"] = top.mean, p
            mean, spread = mean_and_spread(top.untrained)
            numbers[f"matched/untrained/{label}"] = mean
            numbers[f"matched/untrained_spread/{label}"] = spread
        return numbers

    @cached_property
    def top_chances(self) -> tuple[float, ...]:
        """How often untrained networks have units as alike, for all pairs of layers together."""
        chances = {str(i): chance_of(top.mean, top.untrained) for i, top in enumerate(self.top)}
        return tuple(family_wise(chances).values())


def spreads_of(twins: Sequence[LayerAnswer]) -> Mapping[str, tuple[float, float]]:
    """Mean and standard deviation of every number over untrained networks."""
    return {
        name: mean_and_spread([twin.numbers[name] for twin in twins]) for name in twins[0].numbers
    }
