"""Which units are active together, are they the same in both networks, and what are they worth?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.questions.circuits.answer import CircuitLayer, CircuitsAnswer
from frankenstein.questions.circuits.effects import edit_groups
from frankenstein.questions.circuits.layers import circuit_layer
from frankenstein.questions.circuits.maps import circuit_map, maps_at_hand
from frankenstein.questions.circuits.options import CircuitOptions
from frankenstein.questions.circuits.page import circuits_section
from frankenstein.questions.question import Need, Question
from frankenstein.questions.subject import Subject
from frankenstein.report import Section


@dataclass(frozen=True, kw_only=True)
class Circuits(CircuitOptions, Question[CircuitsAnswer]):
    """Which units are active together, are they the same in both, and what are they worth?"""

    title: ClassVar[str] = "Circuits"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "labels", "untrained"})

    def ask(self, subject: Subject) -> CircuitsAnswer:
        """Groups of units of every pair of layers: matched, mapped, silenced and grafted."""
        subject.expect([self])
        layers = tuple(circuit_layer(subject, pair, self) for pair in subject.pairs)
        return CircuitsAnswer(
            layers,
            tuple(
                edit_groups(subject, pair, layer)
                for pair, layer in zip(subject.pairs, layers, strict=True)
            ),
            {kind: _mapped(layers, kind) for kind in maps_at_hand()},
            subject.data.classes,
            (len(subject.train), len(subject.val)),
            self.similarity,
            self.threshold,
            self.grouping,
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
