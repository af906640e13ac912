"""What networks' weights say of them, layer by layer, beside networks with random weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from frankenstein.questions.weights.facts import Matrices, WeightFacts

FACTS = ("norm", "deviation", "zeros", "sparsity", "effective_rank")
UNTRAINED = "untrained"  # what figures call the control
_UNTRAINED_KEY = "untrained_sender"  # what numbers call it: it is of the sender's kind


@dataclass(frozen=True)
class Distance:
    """Between the weights of two networks in one layer: 0 for equal ones, 1 for unrelated ones."""

    before: float
    after: float  # once the units are matched


@dataclass(frozen=True)
class Axes:
    """The rows of all networks' matrices of a layer on the first two axes that they share."""

    points: Mapping[str, Tensor]  # role: (units, 2)
    share: float  # of the variance, that the axes hold
    chance: float | None  # that those of two untrained networks hold


@dataclass(frozen=True)
class WeightsAnswer:
    """Of every layer that at least two of the networks have."""

    layers: tuple[str, ...]
    alone: Mapping[str, tuple[str, ...]]  # role: layers that only this network has
    matrices: Mapping[str, Matrices]  # by role
    control: Matrices  # of an untrained network of the sender's kind
    facts: Mapping[str, Mapping[str, WeightFacts]]  # layer, role
    control_facts: Mapping[str, WeightFacts]  # layer
    distances: Mapping[tuple[str, str], Mapping[str, Distance]]  # two roles, layer
    control_distances: Mapping[str, Distance]  # layer: of two untrained networks
    axes: Mapping[str, Axes]  # layers whose rows are of one length in all networks
    whole: bool  # whether units were matched in all layers together

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"norm/sender/fc1": ..., "distance_after/sender-receiver/fc1": ...}."""
        numbers: dict[str, float] = {}
        for layer in self.layers:
            by_key = dict(self.facts[layer])
            if layer in self.control_facts:
                by_key[_UNTRAINED_KEY] = self.control_facts[layer]
            for key, facts in by_key.items():
                numbers |= {f"{name}/{key}/{layer}": getattr(facts, name) for name in FACTS}
        for layer, axes in self.axes.items():
            numbers[f"axes/{layer}"] = axes.share
            if axes.chance is not None:
                numbers[f"axes/untrained/{layer}"] = axes.chance
        by_pair = {pair: self.distances[two] for two, pair in self.pair_names.items()}
        for pair, distances in (by_pair | {"untrained": self.control_distances}).items():
            for layer, distance in distances.items():
                numbers[f"distance_before/{pair}/{layer}"] = distance.before
                numbers[f"distance_after/{pair}/{layer}"] = distance.after
        return numbers

    @cached_property
    def pair_names(self) -> Mapping[tuple[str, str], str]:
        """What numbers and tables call two networks; each pair has a name of its own."""
        names: dict[tuple[str, str], str] = {}
        for two in self.distances:
            name = "-".join(two)  # roles may have dashes, too
            taken = sum(name == "-".join(other) for other in names)
            names[two] = f"{name}-{taken + 1}" if taken else name
        return names
