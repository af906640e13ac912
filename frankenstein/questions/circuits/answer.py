"""Which units are active together in every network, which groups match, and what they are worth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean

from torch import Tensor

from frankenstein.intervals import chance_of, family_wise, mean_and_spread
from frankenstein.questions.circuits.find import CircuitGroups
from frankenstein.questions.circuits.match import Families, profile_similarity
from frankenstein.questions.table import CircuitOptions

_SPEAKS = 0.5  # standard deviations above its mean over all images: a class that is answered to


@dataclass(frozen=True)
class Silenced:
    """What the accuracy changes by when a group is silenced, and when random units are."""

    change: float
    random: tuple[float, ...]  # of random units that are not in the group, one for each draw
    units: int  # that are silenced at random: as many as the group has, or all there are beside it


@dataclass(frozen=True)
class Graft:
    """The receiver with a group made from the sender's matched group."""

    sender: int  # number of the group
    receiver: int
    explained: float  # r², on training images
    explained_random: Sequence[float]  # of random units of the sender, one for each draw
    # "accuracy" and "agreement" of the receiver as it is ("whole"), with the group "silenced", and
    # with it "grafted"; and for each draw with random units of the sender in its place.
    scores: Mapping[str, Mapping[str, float]]
    random: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Effects:
    """What the groups of a layer are worth; `reason` says why nothing was edited."""

    silenced: Mapping[str, Sequence[Silenced]]  # by role: of the largest groups
    grafts: Sequence[Graft] = ()
    reason: str | None = None

    def numbers(self, label: str) -> Mapping[str, float]:
        """Every group and every graft."""
        numbers: dict[str, float] = {}
        for role, groups in self.silenced.items():
            chances = {}
            for i, one in enumerate(groups, start=1):
                key = f"{role}/{label}/{i}"
                numbers[f"ablated/{key}"] = one.change
                mean, spread = mean_and_spread(one.random)
                numbers |= {f"ablated_random/{key}": mean, f"ablated_random_spread/{key}": spread}
                chances[key] = chance_of(one.change, one.random, "below")
            numbers |= {f"ablated_p/{key}": p for key, p in family_wise(chances).items()}
        for graft in self.grafts:
            key = f"{label}/{graft.sender + 1}-{graft.receiver + 1}"
            numbers[f"grafted_r2/{key}"] = graft.explained
            numbers[f"grafted_random_r2/{key}"] = mean_and_spread(graft.explained_random)[0]
            for what in ("accuracy", "agreement"):
                for name in ("grafted", "silenced"):
                    numbers[f"{name}_{what}/{key}"] = graft.scores[name][what]
                mean, spread = mean_and_spread([one[what] for one in graft.random])
                numbers[f"grafted_random_{what}/{key}"] = mean
                numbers[f"grafted_random_{what}_spread/{key}"] = spread
        return numbers

    def means(self, label: str) -> Mapping[str, float]:
        """Means over a layer's groups; nothing where nothing was edited."""
        if self.reason is not None:
            return {}
        means: dict[str, float] = {}
        for role in [*self.silenced][:2]:
            groups = self.silenced[role]
            means[f"mean_ablated/{role}/{label}"] = _mean([one.change for one in groups])
            mean, spread = mean_and_spread(_by_draw([one.random for one in groups]))
            means[f"mean_ablated_random/{role}/{label}"] = mean
            means[f"mean_ablated_random_spread/{role}/{label}"] = spread
        for name in ("silenced", "grafted"):
            values = [graft.scores[name]["agreement"] for graft in self.grafts]
            means[f"mean_{name}_agreement/{label}"] = _mean(values)
        random = [tuple(one["agreement"] for one in graft.random) for graft in self.grafts]
        mean, spread = mean_and_spread(_by_draw(random))
        means[f"mean_grafted_random_agreement/{label}"] = mean
        means[f"mean_grafted_random_agreement_spread/{label}"] = spread
        return means


@dataclass(frozen=True)
class Matches:
    """How many groups of two networks match, and how alike these are."""

    groups: float  # mean of the two
    matched: int
    similarity: float  # mean; NaN where none match
    null: float  # a match is above it


@dataclass(frozen=True)
class CircuitLayer:
    """Groups of a pair of layers: found on training images, and what they do on held-out ones.

    Mappings go by role: the sender first, then the receiver, then further networks.
    """

    label: str
    circuits: Mapping[str, CircuitGroups]
    profiles: Mapping[str, Tensor]  # (G, N) each
    responses: Mapping[str, Tensor]  # (G, K) each, see `class_profiles`
    chance: Mapping[str, float]  # the largest of these where labels are shuffled
    families: Families
    both: Matches  # of sender and receiver, by themselves
    untrained: Sequence[Matches]  # likewise of pairs of untrained networks
    effects: Effects
    # The held-out images that each group answers to most, (G, K, C, S, S) uint8; {} without any.
    seen: Mapping[str, Tensor] = field(default_factory=dict)

    def names(self, role: str) -> list[str]:
        """What tables call the groups of a network: S1, S2, ...; R1, ...; in2-gn2 1, ..."""
        place = [*self.circuits].index(role)
        start = ("S", "R")[place] if place < 2 else f"{role} "
        return [f"{start}{i}" for i in range(1, len(self.circuits[role].groups) + 1)]

    def partner(self, role: str, group: int, other: str) -> tuple[int, float] | None:
        """The group of another network that is of one family with this one; how alike they are."""
        one, two = ([*self.circuits].index(name) for name in (role, other))
        for row in self.families.members.tolist():
            if row[one] == group and row[two] >= 0:
                profiles = self.profiles[role][[group]], self.profiles[other][[row[two]]]
                return row[two], float(profile_similarity(*profiles))
        return None

    def pairs(self) -> list[tuple[int, int, float]]:
        """All groups of the sender with their partners in the receiver, and how alike they are."""
        sender, receiver, *_ = self.circuits
        groups = range(len(self.circuits[sender].groups))
        partners = ((group, self.partner(sender, group, receiver)) for group in groups)
        return [(group, *partner) for group, partner in partners if partner]

    def classes(self, role: str, group: int) -> list[int]:
        """The classes that a group answers to by more than chance, the strongest first."""
        response = self.responses[role][group].nan_to_num(-1)
        order = response.argsort(descending=True, stable=True).tolist()
        least = max(_SPEAKS, self.chance[role])
        return [k for k in order if response[k] > least]

    @property
    def numbers(self) -> Mapping[str, float]:
        """What is counted in every network."""
        numbers: dict[str, float] = {}
        for role, one in self.circuits.items():
            key = f"{role}/{self.label}"
            numbers[f"groups/{key}"] = len(one.groups)
            numbers[f"grouped_units/{key}"] = sum(map(len, one.groups))
            numbers |= {f"threshold/{key}": one.threshold, f"null_similarity/{key}": one.null}
            numbers |= {f"null_groups/{key}": one.null_groups, f"dead/{key}": len(one.dead)}
        return numbers

    @property
    def matches(self) -> Mapping[str, float]:
        """How many groups of sender and receiver match, and how alike these are."""
        matches = {
            f"matched/{self.label}": self.both.matched,
            f"matched_similarity/{self.label}": self.both.similarity,
            f"matched_null/{self.label}": self.both.null,
        }
        for key in ("groups", "matched", "similarity"):
            mean, spread = mean_and_spread([getattr(one, key) for one in self.untrained])
            matches[f"untrained_{key}/{self.label}"] = mean
            matches[f"untrained_{key}_spread/{self.label}"] = spread
        return matches


@dataclass(frozen=True)
class CircuitsAnswer:
    """Circuits of all pairs of layers."""

    layers: tuple[CircuitLayer, ...]
    maps: Mapping[str, Mapping[str, Mapping[str, Tensor]]]  # kind, layer, role: (G, 2)
    classes: tuple[str, ...]
    images: tuple[int, int]  # training images that groups are found on, held-out ones
    options: CircuitOptions

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"groups/sender/relu3": ..., "matched_similarity/relu3": ...}."""
        numbers: dict[str, float] = {}
        for part in (
            *(layer.numbers for layer in self.layers),
            *(layer.matches for layer in self.layers),
            *(layer.effects.numbers(layer.label) for layer in self.layers),
            *(layer.effects.means(layer.label) for layer in self.layers),
        ):
            numbers |= part
        for key in ("matched", "similarity"):
            chances = {
                layer.label: chance_of(
                    getattr(layer.both, key), [getattr(one, key) for one in layer.untrained]
                )
                for layer in self.layers
            }
            name = "matched_p" if key == "matched" else "matched_similarity_p"
            numbers |= {f"{name}/{label}": p for label, p in family_wise(chances).items()}
        return numbers


def _by_draw(random: Sequence[tuple[float, ...]]) -> list[float]:
    """Means over a layer's groups, one for each draw; of the same units where all are drawn."""
    most = max(map(len, random), default=0)
    draws = [one * most if len(one) == 1 else one for one in random if one]
    return [_mean(draw) for draw in zip(*draws, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return fmean([value for value in values if not math.isnan(value)] or [math.nan])
