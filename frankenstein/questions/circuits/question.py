"""Which units are active together, are they the same in both networks, and what are they worth?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.questions.circuits.answer import CircuitLayer, CircuitsAnswer, Effects, Matches
from frankenstein.questions.circuits.effects import edit_groups
from frankenstein.questions.circuits.find import CircuitGroups, find_circuits
from frankenstein.questions.circuits.maps import (
    chance_response,
    circuit_map,
    class_profiles,
    maps_at_hand,
)
from frankenstein.questions.circuits.match import match_circuits, profiles
from frankenstein.questions.circuits.page import circuits_section
from frankenstein.questions.question import Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.table import CircuitOptions
from frankenstein.questions.top_images import top_images
from frankenstein.report import Section

_IMAGES = 6  # that a group answers to most


@dataclass(frozen=True, kw_only=True)
class Circuits(CircuitOptions, Question[CircuitsAnswer]):
    """Which units are active together, are they the same in both, and what are they worth?"""

    title = "Circuits"
    needs = frozenset({"layers", "inputs", "labels", "untrained"})
    of_more = (
        "Groups of every network, and which all have; all else of the sender and the receiver."
    )

    def ask(self, subject: Subject) -> CircuitsAnswer:
        """Groups of units of every pair of layers: matched, mapped, silenced and grafted."""
        subject.expect([self])
        layers = tuple(_layer(subject, pair, self) for pair in subject.pairs)
        return CircuitsAnswer(
            layers,
            {kind: _mapped(layers, kind) for kind in maps_at_hand()},
            subject.data.classes or tuple(map(str, range(subject.data.num_classes))),
            (len(subject.train), len(subject.val)),
            self,
        )

    def show(self, answer: CircuitsAnswer) -> Section:
        """Tables of all groups, what they are worth, and maps of them."""
        return circuits_section(self.title, answer)


def _mapped(layers: Sequence[CircuitLayer], kind: str) -> Mapping[str, Mapping[str, Tensor]]:
    """All groups of all networks on a plane, for each layer that has enough of them."""
    mapped = {}
    for layer in layers:
        try:
            places = circuit_map(torch.cat([*layer.profiles.values()]), kind, seed=0)
        except UserError:  # too few groups
            continue
        sizes = [len(one.groups) for one in layer.circuits.values()]
        mapped[layer.label] = dict(zip(layer.circuits, places.split(sizes), strict=True))
    return mapped


def _layer(subject: Subject, pair: Pair, options: CircuitOptions) -> CircuitLayer:
    """Find and match the circuits of a pair of layers."""
    circuits = {
        network.role: _groups(subject.rows("train", network, pair), options, subject.seed)
        for network in subject.networks
    }
    done = {
        network.role: profiles(subject.rows("val", network, pair), circuits[network.role].groups)
        for network in subject.networks
    }
    classes, labels = subject.data.num_classes, subject.val.labels
    layer = CircuitLayer(
        subject.label(pair),
        circuits,
        done,
        {role: class_profiles(p, labels, classes) for role, p in done.items()},
        {role: chance_response(p, labels, classes, subject.seed) for role, p in done.items()},
        match_circuits(list(done.values()), seed=subject.seed),
        _matches(subject, (subject.sender, subject.receiver), pair, options),
        [_matches(subject, both, pair, options) for both in subject.untrained],
        Effects({}),
        {
            role: top
            for role, p in done.items()
            if (top := top_images(subject, p, _IMAGES)) is not None
        },
    )
    return replace(layer, effects=edit_groups(subject, pair, layer))


def _groups(z: Tensor, options: CircuitOptions, seed: int) -> CircuitGroups:
    return find_circuits(z, options.threshold, options.grouping, options.similarity, seed=seed)


def _matches(
    subject: Subject, both: Sequence[Network], pair: Pair, options: CircuitOptions
) -> Matches:
    """Groups of two networks, found on training images and matched on held-out ones."""
    circuits = [_groups(subject.rows("train", one, pair), options, subject.seed) for one in both]
    done = [
        profiles(subject.rows("val", one, pair), found.groups)
        for one, found in zip(both, circuits, strict=True)
    ]
    families = match_circuits(done, seed=subject.seed)
    other = 1 - families.reference
    known = families.members[:, other] >= 0
    return Matches(
        sum(len(found.groups) for found in circuits) / 2,
        int(known.sum()),
        float(families.similarity[known, other].mean()),
        families.null,
    )
