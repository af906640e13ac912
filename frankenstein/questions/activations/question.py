"""What do the units of each layer do: distributions, dead units, selectivity, top images?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from frankenstein.labels import several
from frankenstein.networks.network import Network
from frankenstein.questions.activations.answer import (
    ActivationsAnswer,
    LayerAnswer,
)
from frankenstein.questions.activations.facts import (
    ActivationFacts,
    ActivationSums,
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.questions.activations.page import activations_section
from frankenstein.questions.activations.top_images import IMAGES, top_images
from frankenstein.questions.question import Need, Question
from frankenstein.questions.sample import Layers
from frankenstein.questions.subject import Pair, Subject
from frankenstein.report import Section
from frankenstein.surgery.key_layers import bounds_of


class ActivationWatcher:
    """Sums of every network's activations in every layer, made in the pass over the data."""

    def __init__(self, subject: Subject) -> None:
        self.sums: dict[str, dict[str, ActivationSums]] = {}  # by role and layer
        for network in (*subject.networks, *subject.untrained):
            layers = dict.fromkeys(subject.layer_of(network, pair) for pair in subject.pairs)
            self.sums[network.role] = {
                layer: ActivationSums(bounds, IMAGES)
                for layer, bounds in bounds_of(network.module, [*layers]).items()
            }

    def __call__(self, seen: Mapping[str, Layers], labels: Tensor) -> None:
        """Add a batch of all networks."""
        for role, layers in self.sums.items():
            for layer, sums in layers.items():
                sums.update(seen[role][layer])


@dataclass(frozen=True, kw_only=True)
class Activations(Question[ActivationsAnswer]):
    """What do the units of each layer do, beside chance and networks that learned nothing?"""

    title: ClassVar[str] = "Activations"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def watcher(self, subject: Subject) -> ActivationWatcher:
        """Sums of whole activations, which pooled rows do not hold."""
        return ActivationWatcher(subject)

    def ask(self, subject: Subject) -> ActivationsAnswer:
        """Every layer of every network, untrained ones beside them as a control."""
        sums: dict[str, dict[str, ActivationSums]] = subject.watched(self).sums
        facts = {
            role: {layer: one.result() for layer, one in layers.items()}
            for role, layers in sums.items()
        }
        everyone = (*subject.networks, *subject.untrained)
        return ActivationsAnswer(
            images=len(subject.val),
            pairs=subject.pairs,
            labels=tuple(map(subject.label, subject.pairs)),
            trained=tuple(network.role for network in subject.networks),
            untrained=tuple(network.role for network in subject.untrained),
            layers=tuple(
                {network.role: _layer(subject, network, pair, facts) for network in everyone}
                for pair in subject.pairs
            ),
            top=tuple(top_images(subject, sums, facts, pair) for pair in subject.pairs),
        )

    def show(self, answer: ActivationsAnswer) -> Section:
        """Distributions, a table, numbers by depth, and the images that units answer to most."""
        return activations_section(self.title, answer)


def _layer(
    subject: Subject,
    network: Network,
    pair: Pair,
    facts: Mapping[str, Mapping[str, ActivationFacts]],
) -> LayerAnswer:
    layer, rows = subject.layer_of(network, pair), subject.rows("val", network, pair)
    by_chance = _by_chance(rows, subject.val.labels, subject.generator())
    return LayerAnswer(network.role, layer, rows.shape[1], facts[network.role][layer], by_chance)


def _by_chance(
    z: Tensor,  # (N, C), means over places
    labels: Tensor,
    generator: torch.Generator,
) -> dict[str, tuple[float, float]]:
    """Selectivity and dimension, each with what is left of it by chance."""
    mixed = labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
    order = torch.rand(z.shape, generator=generator).argsort(0).to(z.device)
    shuffled = z.gather(0, order)
    return {
        "selectivity": (_selectivity(z, labels), _selectivity(z, mixed)),
        "class_variance": (_between(z, labels), _between(z, mixed)),
        "dimension": (float(participation_ratio(z)), float(participation_ratio(shuffled))),
    }


def _selectivity(z: Tensor, labels: Tensor) -> float:
    """The mean over units; none for a layer that is negative anywhere: a few units would speak."""
    return float(class_selectivity(z, labels).nanmean()) if z.min() >= 0 else float("nan")


def _between(z: Tensor, labels: Tensor) -> float:
    return float("nan") if several(labels) else float(class_variance(z, labels).nanmean())
