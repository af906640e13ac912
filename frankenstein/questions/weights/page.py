"""What a report says of networks' weights."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from frankenstein.questions.weights.answer import FACTS, UNTRAINED, WeightsAnswer
from frankenstein.questions.weights.facts import WeightFacts
from frankenstein.report import Picture, Section, by_layer, markdown_table
from frankenstein.report.panels import histogram_line, line_panels, point_panels

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


def weights_section(title: str, answer: WeightsAnswer) -> Section:
    """Of every layer that at least two of the networks have."""
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        Picture("distributions", _distributions(answer), _CAPTIONS["distributions"]),
        _facts_table(answer),
        Picture("spectra", _spectra(answer), _CAPTIONS["spectra"]),
        Picture("rows", _rows(answer), _CAPTIONS["rows"] + _matching(answer)),
        "Distances: |A - B| over the root of |A|² + |B|², 0 for equal weights and 1 for unrelated "
        f"ones. {_matching(answer)} Matching finds likeness in anything: the last two columns do "
        "the same to two networks with random weights.",
        _distance_table(answer),
    )
    return Section(title, blocks, short=by_layer(_SUMMARY, answer.numbers, answer.layers, _LINES))


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
            name: matrices[layer].flatten().numpy()
            for name, matrices in {**answer.matrices, UNTRAINED: answer.control}.items()
            if layer in matrices
        }
        low, high = min(v.min() for v in series.values()), max(v.max() for v in series.values())
        bins = min(_BINS, math.isqrt(min(map(len, series.values()))))
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
        panels[layer] = {
            name: histogram_line(np.histogram(values, edges)[0], edges)
            for name, values in series.items()
        }
    return line_panels(panels, "weight", "density", steps=True, controls=(UNTRAINED,))


def _spectra(answer: WeightsAnswer) -> Figure:
    panels = {
        layer: {
            name: (
                np.arange(1, len(facts.spectrum) + 1),
                facts.spectrum / facts.spectrum.max(),
            )
            for name, facts in _of_all(answer, layer).items()
        }
        for layer in answer.layers
    }
    labels = "number of the singular value", "over the largest"
    return line_panels(panels, *labels, controls=(UNTRAINED,))


def _facts_table(answer: WeightsAnswer) -> str:
    rows = []
    for layer in answer.layers:
        for name, facts in _of_all(answer, layer).items():
            matrix = answer.matrices.get(name, answer.control)[layer]
            values = [getattr(facts, fact) for fact in FACTS[:-1]]
            rank = f"{facts.effective_rank:.1f} of {min(matrix.shape)}"
            rows.append([layer, name, f"{len(matrix)} x {matrix.shape[1]}", *values, rank])
    header = ["layer", "network", "shape", "norm", "deviation", "zeros", "sparsity"]
    return markdown_table(rows, [*header, "effective rank"])


def _of_all(answer: WeightsAnswer, layer: str) -> Mapping[str, WeightFacts]:
    """Facts of the networks that have a layer, and of the control."""
    control = answer.control_facts.get(layer)
    return {**answer.facts[layer], **({UNTRAINED: control} if control else {})}


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
