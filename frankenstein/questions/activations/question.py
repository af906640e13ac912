"""What do the units of each layer do: distributions, dead units, selectivity, top images?"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.moments import Moments
from frankenstein.labels import several
from frankenstein.measures import correlation_matrix
from frankenstein.networks.network import Network
from frankenstein.questions.activations.facts import (
    ActivationsAnswer,
    ActivationSums,
    LayerAnswer,
    TopImages,
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.questions.activations.page import activations_section
from frankenstein.questions.question import Question
from frankenstein.questions.sample import Layers
from frankenstein.questions.subject import Pair, Subject
from frankenstein.report import Section
from frankenstein.surgery.key_layers import bounds_of

_IMAGES = 6  # in each row, for each network
_UNITS = 8  # rows
_BLANK = 225  # grey, of images that a dead unit does not have


class ActivationWatcher:
    """Sums of every network's activations in every layer, made in the pass over the data."""

    def __init__(self, subject: Subject) -> None:
        self.sums: dict[str, dict[str, ActivationSums]] = {}  # by role and layer
        for network in (*subject.networks, *_twins(subject)):
            layers = dict.fromkeys(subject.layer_of(network, pair) for pair in subject.pairs)
            self.sums[network.role] = {
                layer: ActivationSums(bounds, _IMAGES)
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

    title = "Activations"
    needs = frozenset({"layers", "inputs", "untrained"})
    of_more = "Units of every network; likeness and controls of the sender and the receiver."

    def watcher(self, subject: Subject) -> ActivationWatcher:
        """Sums of whole activations, which pooled rows do not hold."""
        return ActivationWatcher(subject)

    def ask(self, subject: Subject) -> ActivationsAnswer:
        """Every layer of every network, untrained ones beside them as a control."""
        sums: dict[str, dict[str, ActivationSums]] = subject.watched(self).sums
        every = [
            {
                network.role: _layer(subject, network, pair, sums[network.role])
                for network in (*subject.networks, *_twins(subject))
            }
            for pair in subject.pairs
        ]
        layers = tuple(
            {network.role: of_pair[network.role] for network in subject.networks}
            for of_pair in every
        )
        sides = subject.sender, subject.receiver
        return ActivationsAnswer(
            images=len(subject.val),
            pairs=subject.pairs,
            labels=tuple(map(subject.label, subject.pairs)),
            layers=layers,
            untrained=tuple(
                {
                    network.role: [of_pair[twin.role] for twin in subject.twins(network)]
                    for network in sides
                }
                for of_pair in every
            ),
            top=tuple(
                _top_images(subject, pair, sums, of_role)
                for pair, of_role in zip(subject.pairs, layers, strict=True)
            ),
        )

    def show(self, answer: ActivationsAnswer) -> Section:
        """Distributions, a table, numbers by depth, and the images that units answer to most."""
        return activations_section(self.title, answer)


def _twins(subject: Subject) -> list[Network]:
    """Untrained networks that sender and receiver are held against, each once."""
    twins = (*subject.twins(subject.sender), *subject.twins(subject.receiver))
    return [*{twin.role: twin for twin in twins}.values()]


def _layer(
    subject: Subject,
    network: Network,
    pair: Pair,
    sums: Mapping[str, ActivationSums],  # by layer
) -> LayerAnswer:
    layer, rows = subject.layer_of(network, pair), subject.rows("val", network, pair)
    chances = by_chance(rows, subject.held_out_labels, subject.generator())
    return LayerAnswer(network.role, layer, rows.shape[1], sums[layer].result(), chances)


def by_chance(
    z: Tensor,  # (N, C), means over places
    labels: Tensor | None,  # None: nobody knows them, and what they say is NaN
    generator: torch.Generator,
) -> dict[str, tuple[float, float]]:
    """Selectivity and dimension, each with what is left of it by chance."""
    of_labels = dict.fromkeys(("selectivity", "class_variance"), (float("nan"), float("nan")))
    if labels is not None:
        mixed = labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
        of_labels = {
            "selectivity": (_selectivity(z, labels), _selectivity(z, mixed)),
            "class_variance": (_between(z, labels), _between(z, mixed)),
        }
    order = torch.rand(z.shape, generator=generator).argsort(0).to(z.device)
    shuffled = z.gather(0, order)
    return {
        **of_labels,
        "dimension": (float(participation_ratio(z)), float(participation_ratio(shuffled))),
    }


def _selectivity(z: Tensor, labels: Tensor) -> float:
    """The mean over units; none for a layer that is negative anywhere: a few units would speak."""
    return float(class_selectivity(z, labels).nanmean()) if z.min() >= 0 else float("nan")


def _between(z: Tensor, labels: Tensor) -> float:
    return float("nan") if several(labels) else float(class_variance(z, labels).nanmean())


def _top_images(
    subject: Subject,
    pair: Pair,
    sums: Mapping[str, Mapping[str, ActivationSums]],  # by role and layer
    layers: Mapping[str, LayerAnswer],  # of the pair, by role
) -> TopImages:
    """Units of the sender beside their partners in the receiver, by the images they answer to.

    Partners come from the one-to-one matching of largest total correlation over images. Those shown
    are spread evenly from the most to the least alike pair.
    """
    sides = subject.sender, subject.receiver
    matched, alike = _partners(*(subject.rows("val", one, pair) for one in sides))
    control = [
        _partners(*(subject.rows("val", one, pair) for one in both))[1]
        for both in subject.untrained
    ]
    best = alike.round(decimals=9).argsort(descending=True, stable=True)
    shown = best[torch.linspace(0, len(best) - 1, min(_UNITS, len(best))).round().long()]
    images = []
    for units, network in zip(matched[:, shown], sides, strict=True):
        of_network = layers[network.role]
        rows = sums[network.role][of_network.layer].top.rows
        assert rows is not None
        taken = subject.pictures("val", rows[units].flatten())
        if taken is None:
            continue
        pictures = taken.unflatten(0, (len(units), -1))
        pictures[of_network.facts.dead_units.cpu()[units]] = _BLANK
        images.append(pictures)
    return TopImages(
        matched[:, shown],
        alike[shown],
        (images[0], images[1]) if images else None,
        float(alike.mean()),
        tuple(float(one.mean()) for one in control),
    )


def _partners(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # (2, K), (K,)
    """The one-to-one matching of units of largest total correlation; dead ones correlate 0."""
    correlation = correlation_matrix(Moments().update(x, y)).nan_to_num(0).cpu()
    wide = len(correlation) > correlation.shape[1]
    theirs = assignment(correlation.T if wide else correlation)[1]
    pairs = torch.stack([torch.arange(len(theirs)), theirs])
    pairs = pairs.flip(0) if wide else pairs
    return pairs, correlation[pairs[0], pairs[1]]
