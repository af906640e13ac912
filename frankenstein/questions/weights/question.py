"""Weight space: norms, sparsity, spectra, common axes, and distances before and after matching."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from frankenstein.errors import UserError
from frankenstein.questions.question import Need, Question
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.questions.weights.facts import (
    WeightFacts,
    Weights,
    common_axes,
    matched_weights,
    weight_distance,
    weight_facts,
    weight_matrices,
)
from frankenstein.report import Picture, Section, by_layer, markdown_table
from frankenstein.report.panels import histogram_line, line_panels, point_panels

Pair = tuple[str, str]  # whose

_BINS = 60  # at most
_CONTROL: Pair = ("untrained_sender", "untrained_receiver")
_FACTS = ("norm", "deviation", "zeros", "sparsity", "effective_rank")
_SAID = (
    "Distance of the weights of sender and receiver, 0 for equal and 1 for unrelated ones, before "
    "and after their units are matched. Matching brings anything nearer: compare the last rows."
)
_LINES = (
    ("sender - receiver", "distance_before/sender-receiver/{}", ".3f"),
    ("  matched", "distance_after/sender-receiver/{}", ".3f"),
    ("untrained", "distance_before/untrained/{}", ".3f"),
    ("  matched", "distance_after/untrained/{}", ".3f"),
)
_CAPTIONS = {
    "distributions": "Distribution of the weights of every layer. Density over value. The dashed "
    "control is a network with random weights; a peak at zero with long tails is what training "
    "makes of it, and two networks whose curves lie on each other may still have nothing in "
    "common.",
    "spectra": "Singular values of every layer's weight matrix over the largest, in order. A line "
    "that falls early belongs to a matrix of few directions; the untrained control falls as a "
    "random matrix of that shape does.",
    "rows": "Rows of the weight matrices (a point for each unit) on the first two principal axes "
    "of all networks' rows together. Clouds on each other mean units of like weights; the number "
    "is the share of the variance that the two axes hold, in brackets that of two untrained "
    "networks. ",
}


def section(study: Study) -> Section:
    """The weights of all networks, with untrained ones as a control; no data are needed."""
    networks = {**study.trained, **study.untrained}
    weights = {whose: weight_matrices(network) for whose, network in networks.items()}
    trained = {whose: weights[whose] for whose in study.trained}
    layers = [name for name in _all_layers(trained) if _owners(trained, name) > 1]
    if not layers:
        raise UserError("the networks have no weights of the same name; compare their activations")
    facts = {
        (layer, whose): weight_facts(weights[whose][layer])
        for layer in layers
        for whose in (*study.trained, _CONTROL[0])
        if layer in weights[whose]
    }
    scores = {
        f"{fact}/{whose}/{layer}": getattr(numbers, fact)
        for (layer, whose), numbers in facts.items()
        for fact in _FACTS
    }
    # The receiver last, so that every other is brought into its order.
    order = sorted(study.trained, key=lambda whose: whose == "receiver")
    matched = {
        (one, other): matched_weights(networks[one], networks[other], study.seed)
        for one, other in (*combinations(order, 2), _CONTROL)
    }
    aligned = {one: found for (one, other), (found, _) in matched.items() if other == "receiver"}
    aligned["receiver"] = weights["receiver"]
    whole = all(whole for _, whole in matched.values())
    rows_picture, axes_scores = _rows(aligned, weights, layers, whole)
    distance_rows, distance_scores = _distances(matched, weights, layers)
    scores |= axes_scores | distance_scores
    blocks: list[str | Picture] = [
        _about(study, trained, layers),
        Picture("distributions", _distributions(weights, layers), _CAPTIONS["distributions"]),
        markdown_table(*_facts_table(facts, weights)),
        Picture("spectra", _spectra(facts, layers), _CAPTIONS["spectra"]),
        rows_picture,
        "Distances: |A - B| over the root of |A|² + |B|², 0 for equal weights and 1 for unrelated "
        f"ones. {_how(whole)} Matching finds likeness in anything: the last two columns do the "
        "same to two networks with random weights.",
        markdown_table(*distance_rows),
    ]
    return Section("Weights", tuple(blocks), scores, by_layer(_SAID, scores, layers, _LINES))


def _distances(
    matched: Mapping[Pair, tuple[Weights, bool]],
    weights: Mapping[str, Weights],
    layers: list[str],
) -> tuple[tuple[list[list], list[str]], dict[str, float]]:
    """Before and after matching, for each two networks, beside two untrained ones."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for (one, other), (after, _) in matched.items():
        before, target = weights[one], weights[other]
        found["untrained" if (one, other) == _CONTROL else f"{one}-{other}"] = {
            layer: (
                weight_distance(before[layer], target[layer]),
                weight_distance(after[layer], target[layer]),
            )
            for layer in layers
            if layer in before and layer in target and before[layer].shape == target[layer].shape
        }
    scores = {
        f"distance_{when}/{said}/{layer}": number
        for said, by_layer in found.items()
        for layer, numbers in by_layer.items()
        for when, number in zip(("before", "after"), numbers, strict=True)
    }
    control = found.pop("untrained")
    rows = [
        [said, layer, *numbers, *control.get(layer, (None, None))]
        for said, by_layer in found.items()
        for layer, numbers in by_layer.items()
    ]
    header = ["networks", "layer", "before", "matched", "untrained", "untrained, matched"]
    return (rows, header), scores


def _rows(
    aligned: Mapping[str, Weights], weights: Mapping[str, Weights], layers: list[str], whole: bool
) -> tuple[Picture, dict[str, float]]:
    """The rows of all networks on common axes, and the share of variance these hold."""
    panels, scores = {}, {}
    for layer in layers:
        rows = {whose: found[layer] for whose, found in aligned.items() if layer in found}
        if len({z.shape[1] for z in rows.values()}) > 1:
            continue  # of other lengths: the table has their shapes
        points, share = common_axes([*rows.values()])
        said = f"{layer}: {share:.0%}"
        scores[f"axes/{layer}"] = share
        control = [weights[whose][layer] for whose in _CONTROL if layer in weights[whose]]
        if len({z.shape[1] for z in control}) == 1:
            chance = scores[f"axes/untrained/{layer}"] = common_axes(control)[1]
            said += f" ({chance:.0%})"
        panels[said] = dict(zip(rows, points, strict=True))
    figure = point_panels(panels or {"no rows of one length": {}}, "first axis", "second axis")
    return Picture("rows", figure, _CAPTIONS["rows"] + _how(whole)), scores


def _distributions(weights: Mapping[str, Weights], layers: list[str]) -> Figure:
    panels = {}
    for layer in layers:
        found = {whose: w[layer].flatten().numpy() for whose, w in _shown(weights, layer)}
        low, high = min(v.min() for v in found.values()), max(v.max() for v in found.values())
        bins = min(_BINS, math.isqrt(min(map(len, found.values()))))
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        panels[layer] = {
            whose: histogram_line(np.histogram(values, edges)[0], edges)
            for whose, values in found.items()
        }
    return line_panels(panels, "weight", "density", steps=True, controls=("untrained",))


def _spectra(facts: Mapping[tuple[str, str], WeightFacts], layers: list[str]) -> Figure:
    panels: dict[str, dict] = {layer: {} for layer in layers}
    for (layer, whose), numbers in facts.items():
        spectrum = numbers.spectrum / numbers.spectrum.max()
        panels[layer][_called(whose)] = np.arange(1, len(spectrum) + 1), spectrum
    labels = "number of the singular value", "over the largest"
    return line_panels(panels, *labels, controls=("untrained",))


def _facts_table(
    facts: Mapping[tuple[str, str], WeightFacts], weights: Mapping[str, Weights]
) -> tuple[list[list], list[str]]:
    rows = []
    for (layer, whose), numbers in facts.items():
        shape = weights[whose][layer].shape
        values = [getattr(numbers, fact) for fact in _FACTS[:-1]]
        rank = f"{numbers.effective_rank:.1f} of {min(shape)}"
        rows.append([layer, _called(whose), f"{shape[0]} x {shape[1]}", *values, rank])
    header = ["layer", "network", "shape", "norm", "deviation", "zeros", "sparsity"]
    return rows, [*header, "effective rank"]


def _shown(weights: Mapping[str, Weights], layer: str) -> Iterator[tuple[str, Weights]]:
    for whose, found in weights.items():
        if layer in found and whose != "untrained_receiver":
            yield _called(whose), found


def _about(study: Study, trained: Mapping[str, Weights], layers: list[str]) -> str:
    alone = {
        whose: [layer for layer in found if layer not in layers] for whose, found in trained.items()
    }
    said = [
        f"Without a like in the other networks are, of the {whose}: {', '.join(names)}."
        for whose, names in alone.items()
        if names
    ]
    return (
        "One row of a layer's weight matrix holds the weights of one unit; convolutions are "
        "flattened. *Sparsity* is Hoyer's (0: all weights of one size, 1: a single one), *zeros* "
        "the share of weights that are exactly 0, *effective rank* that of Roy & Vetterli 2007. "
        "*Untrained* is a network of the sender's kind with random weights. " + " ".join(said)
    )


def _how(whole: bool) -> str:
    if whole:
        return (
            "The others' units are in the order in which their weights are nearest to the "
            "receiver's, found for all layers together, so that they compute what they did."
        )
    return (
        "The networks are not of one architecture whose units can be followed, so each layer's "
        "rows are matched by themselves, with their inputs in the order that they have."
    )


def _called(whose: str) -> str:
    return "untrained" if whose.startswith("untrained_") else whose


def _all_layers(weights: Mapping[str, Weights]) -> list[str]:
    return list(dict.fromkeys(layer for found in weights.values() for layer in found))


def _owners(weights: Mapping[str, Weights], layer: str) -> int:
    return sum(layer in found for found in weights.values())


@dataclass(frozen=True, kw_only=True)
class Weights(Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Weights"
    needs: ClassVar[frozenset[Need]] = frozenset({"untrained"})

    def ask(self, subject: Subject) -> Section:
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
