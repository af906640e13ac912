"""What the units of every layer of every network do, beside chance and untrained networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from frankenstein.questions.activations.facts import ActivationFacts

PLAIN = ("dead", "saturated_values", "saturated_units", "zeros", "rms", "sparseness")
BY_CHANCE = ("selectivity", "class_variance", "dimension")  # each has a number by chance beside it


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
    images: tuple[Tensor, Tensor]  # (R, K, C, H, W) uint8 each; grey where a unit is dead
    mean: float  # correlation, over all pairs
    untrained: float  # likewise of two untrained networks


@dataclass(frozen=True)
class ActivationsAnswer:
    """All layers of all networks; lists go by pairs of layers, from the first to the last."""

    images: int
    pairs: tuple[tuple[str, str], ...]
    labels: tuple[str, ...]  # what tables call each pair
    trained: tuple[str, ...]  # roles
    untrained: tuple[str, ...]  # roles: the sender's twin, the receiver's
    layers: tuple[Mapping[str, LayerAnswer], ...]  # by role
    top: tuple[TopImages, ...]

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"dead/sender/relu3": ..., "dimension_shuffled/untrained_sender/relu3": ...}."""
        return {
            f"{name}/{one.role}/{one.layer}": value
            for layers in self.layers
            for one in layers.values()
            for name, value in one.numbers.items()
        }
