"""The circuits of one pair of layers in all networks of a study, matched with one another."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from frankenstein.cli.analyze_study import Study
from frankenstein.compare.circuit_families import (
    Families,
    match_circuits,
    profile_similarity,
    profiles,
)
from frankenstein.compare.circuit_pictures import chance_response, class_profiles
from frankenstein.compare.circuits import Circuits, find_circuits

_SPEAKS = 0.5  # standard deviations above its mean over all images: a class that is answered to


@dataclass(frozen=True)
class CircuitLayer:
    """Groups found on training images, and what they do on held-out ones."""

    label: str
    pair: tuple[str, str]
    found: Mapping[str, Circuits]  # by whose network
    profiles: Mapping[str, Tensor]  # likewise: (G, N)
    responses: Mapping[str, Tensor]  # likewise: (G, K), see `class_profiles`
    chance: Mapping[str, float]  # likewise: the largest of these where labels are shuffled
    families: Families
    control: Mapping[str, float]  # of two untrained networks: "groups", "matched", "similarity"

    def names(self, whose: str) -> list[str]:
        """What tables and figures call the groups of a network: S1, S2, ...; R1, ...; in2-gn2 1."""
        letter = {"sender": "S", "receiver": "R"}.get(whose, f"{whose} ")
        return [f"{letter}{i}" for i in range(1, len(self.found[whose].groups) + 1)]

    def layer(self, whose: str) -> str:
        """The layer of a network: the receiver's, or that of the sender."""
        return self.pair[whose == "receiver"]

    def partner(self, whose: str, group: int, other: str) -> int | None:
        """The group of another network that is of one family with this one."""
        one, two = list(self.found).index(whose), list(self.found).index(other)
        for row in self.families.members.tolist():
            if row[one] == group and row[two] >= 0:
                return row[two]
        return None

    def similarity(self, whose: str, group: int, other: str, partner: int) -> float:
        """How alike two groups' profiles are."""
        one, two = self.profiles[whose][[group]], self.profiles[other][[partner]]
        return float(profile_similarity(one, two))

    def pairs(self, whose: str, other: str) -> list[tuple[int, int]]:
        """All groups of one network with their like in another."""
        found = [(g, self.partner(whose, g, other)) for g in range(len(self.found[whose].groups))]
        return [(group, partner) for group, partner in found if partner is not None]

    def classes(self, whose: str, group: int, names: tuple[str, ...]) -> str:
        """The classes that a group answers to by more than chance, the strongest first."""
        response = self.responses[whose][group].nan_to_num(-1)
        order = response.argsort(descending=True, stable=True).tolist()
        least = max(_SPEAKS, self.chance[whose])
        return ", ".join(names[k] for k in order if response[k] > least) or "none"


def circuit_layer(study: Study, pair: tuple[str, str]) -> CircuitLayer:
    """Find and match the circuits of a pair of layers."""
    layers = {whose: pair[whose == "receiver"] for whose in study.trained}
    found = {whose: _found(study, study.train.of[whose][name]) for whose, name in layers.items()}
    done = {
        whose: profiles(study.val.of[whose][layer], found[whose].groups)
        for whose, layer in layers.items()
    }
    classes, labels = study.data.num_classes, study.val.labels
    return CircuitLayer(
        study.label(pair),
        pair,
        found,
        done,
        {whose: class_profiles(p, labels, classes) for whose, p in done.items()},
        {whose: chance_response(p, labels, classes, study.seed) for whose, p in done.items()},
        match_circuits(list(done.values()), seed=study.seed),
        _control(study, pair),
    )


def _found(study: Study, z: Tensor) -> Circuits:
    options = study.options
    return find_circuits(
        z, options["threshold"], options["grouping"], options["similarity"], seed=study.seed
    )


def _control(study: Study, pair: tuple[str, str]) -> dict[str, float]:
    """The same of two networks that have learned nothing."""
    rows = [study.val.of[f"untrained_{side}"] for side in ("sender", "receiver")]
    z = [of[layer] for of, layer in zip(rows, pair, strict=True)]
    found = [_found(study, one) for one in z]
    done = [profiles(one, circuits.groups) for one, circuits in zip(z, found, strict=True)]
    families = match_circuits(done, reference=0, seed=study.seed)
    known = families.members[:, 1] >= 0
    return {
        "groups": sum(len(circuits.groups) for circuits in found) / 2,
        "matched": float(known.sum()),
        "similarity": float(families.similarity[known, 1].mean()),  # NaN of none
    }
