"""Weight space: norms, sparsity, spectra, common axes, and distances before and after matching."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure

from frankenstein.errors import UserError
from frankenstein.questions.question import Question
from frankenstein.questions.subject import SEEDS, Subject
from frankenstein.questions.weights.facts import (
    FACTS,
    Axes,
    Distance,
    Matrices,
    WeightsAnswer,
    common_axes,
    matched_weights,
    weight_distance,
    weight_facts,
    weight_matrices,
)
from frankenstein.report import Picture, Section, by_layer, markdown_table
from frankenstein.report.panels import histogram_line, line_panels, point_panels
from frankenstein.zoo import untrained as random_network

_UNTRAINED = "untrained"  # what figures call the control
_TWIN = "untrained_sender"  # what its numbers are called by
_BINS = 60  # at most
_SUMMARY = (
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
    "control is a network with random weights. Training makes a peak at zero with long tails of "
    "it. Two networks whose curves lie on each other may still have nothing in common.",
    "spectra": "Singular values of every layer's weight matrix over the largest, in order. A line "
    "that falls early belongs to a matrix of few directions; the untrained control falls as a "
    "random matrix of that shape does.",
    "rows": "Rows of the weight matrices (a point for each unit) on the first two principal axes "
    "of all networks' rows together. Clouds on each other mean units of like weights; the number "
    "is the share of the variance that the two axes hold, in brackets that of two untrained "
    "networks. ",
}


@dataclass(frozen=True, kw_only=True)
class Weights(Question[WeightsAnswer]):
    """How are the weights of each layer spread, and how far apart before and after matching?"""

    title = "Weights"
    needs = frozenset({"untrained"})

    def ask(self, subject: Subject) -> WeightsAnswer:
        """Of any number of networks, without data.

        Raises:
            UserError: if no two networks have weights of the same name.
        """
        matrices = {one.role: weight_matrices(one.module) for one in subject.networks}
        names = dict.fromkeys(layer for of_layer in matrices.values() for layer in of_layer)
        owners = {name: [role for role in matrices if name in matrices[role]] for name in names}
        layers = tuple(layer for layer, roles in owners.items() if len(roles) > 1)
        if not layers:
            raise UserError(
                "the networks have no weights of the same name; compare their activations"
            )
        # Of their weights alone, so without BatchNorm's statistics: they need no data.
        untrained = [
            random_network(one.card, seed)
            for one, seed in zip(subject.networks, SEEDS, strict=False)
        ]
        control, other_control = (weight_matrices(one) for one in untrained)
        # The receiver last, so that every other is brought into its order.
        order = [one for one in subject.networks if one is not subject.receiver]
        matched = {
            (one.role, other.role): matched_weights(one.module, other.module, subject.seed)
            for one, other in combinations([*order, subject.receiver], 2)
        }
        control_after, control_whole = matched_weights(untrained[0], untrained[1], subject.seed)
        receiver = subject.receiver.role
        aligned = {one: after for (one, other), (after, _) in matched.items() if other == receiver}
        aligned[receiver] = matrices[receiver]
        everyone = {**matrices, _TWIN: control}
        return WeightsAnswer(
            layers,
            {
                role: tuple(layer for layer, roles in owners.items() if roles == [role])
                for role in matrices
            },
            {**{role: role for role in matrices}, _TWIN: _UNTRAINED},
            everyone,
            {
                layer: {r: weight_facts(of[layer]) for r, of in everyone.items() if layer in of}
                for layer in layers
            },
            {
                (one, other): _distances(matrices[one], after, matrices[other], layers)
                for (one, other), (after, _) in matched.items()
            },
            _distances(control, control_after, other_control, layers),
            _axes(aligned, [control, other_control], layers),
            control_whole and all(whole for _, whole in matched.values()),
        )

    def show(self, answer: WeightsAnswer) -> Section:
        """Distributions, spectra, common axes and distances, beside an untrained network's."""
        matching = _matching(answer)
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            Picture("distributions", _distributions(answer), _CAPTIONS["distributions"]),
            _facts_table(answer),
            Picture("spectra", _spectra(answer), _CAPTIONS["spectra"]),
            Picture("rows", _rows(answer), _CAPTIONS["rows"] + matching),
            "Distances: |A - B| over the root of |A|² + |B|², 0 for equal weights and 1 for "
            f"unrelated ones. {matching} Matching finds likeness in anything: the last two columns "
            "do the same to two networks with random weights.",
            _distance_table(answer),
        )
        short = by_layer(_SUMMARY, answer.numbers, answer.layers, _LINES)
        return Section(self.title, blocks, short)


def _distances(
    before: Matrices, after: Matrices, target: Matrices, layers: tuple[str, ...]
) -> dict[str, Distance]:
    return {
        layer: Distance(
            weight_distance(before[layer], target[layer]),
            weight_distance(after[layer], target[layer]),
        )
        for layer in layers
        if layer in before and layer in target and before[layer].shape == target[layer].shape
    }


def _axes(
    aligned: Mapping[str, Matrices], controls: list[Matrices], layers: tuple[str, ...]
) -> dict[str, Axes]:
    axes = {}
    for layer in layers:
        rows = {role: matrices[layer] for role, matrices in aligned.items() if layer in matrices}
        if len({z.shape[1] for z in rows.values()}) > 1:
            continue  # of other lengths: the table has their shapes
        points, share = common_axes([*rows.values()])
        random = [matrices[layer] for matrices in controls if layer in matrices]
        chance = common_axes(random)[1] if len({z.shape[1] for z in random}) == 1 else None
        axes[layer] = Axes(dict(zip(rows, points, strict=True)), share, chance)
    return axes


def _distance_table(answer: WeightsAnswer) -> str:
    rows = []
    for two, distances in answer.distances.items():
        for layer, distance in distances.items():
            control = answer.control_distances.get(layer)
            chance = (control.before, control.after) if control else (None, None)
            row = [answer.pair_names[two], layer, distance.before, distance.after]
            rows.append([*row, *chance])
    header = ["networks", "layer", "before", "matched", "untrained", "untrained, matched"]
    return markdown_table(rows, header)


def _rows(answer: WeightsAnswer) -> Figure:
    panels = {}
    for layer, axes in answer.axes.items():
        chance = "" if axes.chance is None else f" ({axes.chance:.0%})"
        panels[f"{layer}: {axes.share:.0%}{chance}"] = axes.points
    return point_panels(panels or {"no rows of one length": {}}, "first axis", "second axis")


def _distributions(answer: WeightsAnswer) -> Figure:
    panels = {}
    for layer in answer.layers:
        series = {
            answer.shown[role]: matrices[layer].flatten().numpy()
            for role, matrices in answer.matrices.items()
            if layer in matrices
        }
        low, high = min(v.min() for v in series.values()), max(v.max() for v in series.values())
        bins = min(_BINS, math.isqrt(min(map(len, series.values()))))
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        panels[layer] = {
            name: histogram_line(np.histogram(values, edges)[0], edges)
            for name, values in series.items()
        }
    return line_panels(panels, "weight", "density", steps=True, controls=(_UNTRAINED,))


def _spectra(answer: WeightsAnswer) -> Figure:
    panels = {
        layer: {
            answer.shown[role]: (
                range(1, len(one.spectrum) + 1),
                one.spectrum / one.spectrum.max(),
            )
            for role, one in facts.items()
        }
        for layer, facts in answer.facts.items()
    }
    labels = "number of the singular value", "over the largest"
    return line_panels(panels, *labels, controls=(_UNTRAINED,))


def _facts_table(answer: WeightsAnswer) -> str:
    rows = []
    for layer, of_layer in answer.facts.items():
        for role, facts in of_layer.items():
            matrix = answer.matrices[role][layer]
            row = [layer, answer.shown[role], f"{len(matrix)} x {matrix.shape[1]}"]
            row += [getattr(facts, fact) for fact in FACTS[:-1]]
            rows.append([*row, f"{facts.effective_rank:.1f} of {min(matrix.shape)}"])
    header = ["layer", "network", "shape", "norm", "deviation", "zeros", "sparsity"]
    return markdown_table(rows, [*header, "effective rank"])


def _about(answer: WeightsAnswer) -> str:
    alone = [
        f"Layers that only the {role} has: {', '.join(layers)}."
        for role, layers in answer.alone.items()
        if layers
    ]
    return (
        "One row of a layer's weight matrix holds the weights of one unit; convolutions are "
        "flattened. *Sparsity* is Hoyer's (0: all weights of one size, 1: a single one), *zeros* "
        "the share of weights that are exactly 0, *effective rank* that of Roy & Vetterli 2007. "
        "*Untrained* is a network of the sender's kind with random weights. " + " ".join(alone)
    )


def _matching(answer: WeightsAnswer) -> str:
    if answer.whole:
        return (
            "The others' units are in the order in which their weights are nearest to the "
            "receiver's, found for all layers together, so that they compute what they did."
        )
    return (
        "The networks are not of one architecture whose units can be followed, so each layer's "
        "rows are matched by themselves, with their inputs in the order that they have."
    )
