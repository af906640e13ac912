"""Weight space: norms, sparsity, spectra, common axes, and distances before and after matching."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.questions.merging.unit_orders import STARTS
from frankenstein.questions.question import Question
from frankenstein.questions.subject import Subject
from frankenstein.questions.top_images import top_images
from frankenstein.questions.weights.facts import (
    FACTS,
    Axes,
    Distance,
    Matrices,
    WeightsAnswer,
    common_axes,
    matched_weights,
    moved_rows,
    weight_distance,
    weight_facts,
    weight_matrices,
)
from frankenstein.report import (
    Picture,
    Section,
    by_layer,
    format_value,
    markdown_table,
    short_number,
)
from frankenstein.report.panels import histogram_line, line_panels, point_panels
from frankenstein.surgery.key_layers import weights_of_units

Two = tuple[str, str]  # roles
_UNTRAINED = "untrained"  # what figures call the control
_APART = 10_000  # seeds of further networks' twins
_BINS = 60  # at most
_IMAGES = 3  # of each unit
_SUMMARY = (
    "Distance of the weights of sender and receiver, 0 for equal and 1 for unrelated ones, before "
    "and after their units are matched. Matching brings anything nearer; p: how often untrained "
    "networks come as near, in any layer."
)
_WITHOUT = "The report has norms and spectra of all layers."
_NAMED = 3  # layers without a distance that the terminal names
_FINDINGS = (
    "The weights of {layer} are {0} apart, {1} once units are matched, and those of untrained "
    "networks that are matched likewise {3} (0 is equal, 1 unrelated).",
)
_LINES = (
    ("sender - receiver", "distance_before/sender-receiver/{}", ".3f"),
    ("  matched", "distance_after/sender-receiver/{}", ".3f"),
    ("untrained", "distance_before/untrained/{}", ".3f"),
    ("  matched", "distance_after/untrained/{}", ".3f"),
    ("    their spread", "distance_after_spread/untrained/{}", ".3f"),
    ("p", "distance_p/sender-receiver/{}", ".3f"),
)
_CAPTIONS = {
    "distributions": "Distribution of the weights of every layer. Density over value. The dashed "
    "control is one network with random weights. Training makes a peak at zero with long tails of "
    "it. Two networks whose curves lie on each other may still have nothing in common.",
    "spectra": "Singular values of every layer's weight matrix over the largest, in order. A line "
    "that falls early belongs to a matrix of few directions; the untrained control falls as a "
    "random matrix of that shape does.",
    "rows": "Rows of the weight matrices (a point for each unit) on the first two principal axes "
    "of all networks' rows together. Clouds on each other mean units of like weights; the number "
    "is the share of the variance that the two axes hold, in brackets that of as many untrained "
    "networks that were matched likewise, on average. ",
}


@dataclass(frozen=True, kw_only=True)
class Weights(Question[WeightsAnswer]):
    """How are the weights of each layer spread, and how far apart before and after matching?"""

    title = "Weights"
    needs = frozenset({"untrained"})
    of_more = "Every two of the networks, each in the receiver's order of units."

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
        # The receiver last, so that every other is brought into its order.
        order = [one for one in subject.networks if one is not subject.receiver]
        order.append(subject.receiver)
        matched = _match({one.role: one.module for one in order}, _pairs(order), subject.seed)
        # What is held against a pair: untrained ones of the same two kinds.
        to_receiver = [(one.role, subject.receiver.role) for one in order[:-1]]
        kinds = {one.role: one.kind for one in order}
        first = {
            (kinds[one], kinds[other]): (one, other)
            for one, other in reversed([*to_receiver, *matched.after])
        }
        stand_ins = {two: first[kinds[two[0]], kinds[two[1]]] for two in matched.after}
        needed = dict.fromkeys([*to_receiver, *stand_ins.values()])
        controls = [_match(_twins(order, seeds), needed, subject.seed) for seeds in subject.seeds]
        untrained = [control.before[subject.sender.role] for control in controls]
        return WeightsAnswer(
            layers,
            {
                role: tuple(layer for layer, roles in owners.items() if roles == [role])
                for role in matrices
            },
            matrices,
            {
                layer: {r: weight_facts(of[layer]) for r, of in matrices.items() if layer in of}
                for layer in layers
            },
            untrained,
            {
                layer: [weight_facts(one[layer]) for one in untrained]
                for layer in layers
                if layer in untrained[0]
            },
            {two: _distances(matched, two, layers) for two in matched.after},
            {
                two: [_distances(control, stand_in, layers) for control in controls]
                for two, stand_in in stand_ins.items()
            },
            axes := _axes(matched, controls, layers),
            matched.whole and all(control.whole for control in controls),
            _seen(subject, axes) if subject.looks else {},
        )

    def show(self, answer: WeightsAnswer) -> Section:
        """Distributions, spectra, common axes and distances, beside an untrained network's."""
        matching = _matching(answer)
        unlike = _unlike(answer)
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            Picture("distributions", _distributions(answer), _CAPTIONS["distributions"]),
            _facts_table(answer),
            Picture("spectra", _spectra(answer), _CAPTIONS["spectra"]),
            *(
                [Picture("rows", _rows(answer), _CAPTIONS["rows"] + matching)]
                if answer.axes
                else []
            ),
            *([unlike] if unlike else []),
            *(_distances_told(answer, matching) if any(answer.distances.values()) else []),
        )
        about = _SUMMARY if any(answer.distances.values()) else _WITHOUT
        summary = f"{about} {_unlike(answer, _NAMED)}".strip()
        short = by_layer(summary, answer.numbers, answer.layers, _LINES, _FINDINGS)
        return Section(self.title, blocks, short)


class _Matched(NamedTuple):
    """Weights of some networks, and of the first of each pair in the order of the second."""

    before: Mapping[str, Matrices]  # by role, the receiver last
    after: Mapping[Two, Sequence[Matrices]]  # by two roles: of every start, the best match first
    whole: bool  # whether units were matched in all layers together


def _pairs(networks: Sequence[Network]) -> list[Two]:
    return [*combinations((one.role for one in networks), 2)]


def _twins(networks: Sequence[Network], seeds: tuple[int, int]) -> dict[str, nn.Module]:
    """Of every network one with random weights, the sender's and the receiver's of these seeds.

    Of their weights alone, so without BatchNorm's statistics: they need no data.
    """
    own = {"sender": seeds[0], "receiver": seeds[1]}
    return {
        one.role: one.random(own.get(one.role, seeds[0] + _APART * number))
        for number, one in enumerate(networks, start=1)
    }


def _match(modules: Mapping[str, nn.Module], pairs: Iterable[Two], seed: int) -> _Matched:
    found = {
        (one, other): matched_weights(modules[one], modules[other], seed) for one, other in pairs
    }
    return _Matched(
        {role: weight_matrices(module) for role, module in modules.items()},
        {two: after for two, (after, _) in found.items()},
        all(whole for _, whole in found.values()),
    )


def _distances(matched: _Matched, two: Two, layers: tuple[str, ...]) -> dict[str, Distance]:
    before, target = (matched.before[role] for role in two)
    return {
        layer: Distance(
            weight_distance(before[layer], target[layer]),
            tuple(weight_distance(one[layer], target[layer]) for one in matched.after[two]),
        )
        for layer in layers
        if layer in before and layer in target and before[layer].shape == target[layer].shape
    }


def _axes(
    matched: _Matched, controls: Sequence[_Matched], layers: tuple[str, ...]
) -> dict[str, Axes]:
    axes = {}
    for layer in layers:
        rows = _aligned(matched, layer)
        if len({z.shape[1] for z in rows.values()}) > 1:
            continue  # of other lengths: the table has their shapes
        points, share = common_axes([*rows.values()])
        chance = [common_axes([*_aligned(one, layer).values()])[1] for one in controls]
        units = {role: moved_rows(matched.before[role][layer], z) for role, z in rows.items()}
        axes[layer] = Axes(dict(zip(rows, points, strict=True)), share, tuple(chance), units)
    return axes


def _seen(subject: Subject, axes: Mapping[str, Axes]) -> dict[str, dict[str, Tensor]]:
    """The images that the rows on the axes answer to most, at the layers that are read anyway."""
    seen: dict[str, dict[str, Tensor]] = {}
    for network in (subject.sender, subject.receiver):
        pairs = {subject.layer_of(network, pair): pair for pair in subject.pairs}
        found = weights_of_units(network.module, pairs, dict(network.inputs) or None)
        for layer, weight in found.items():
            values = subject.rows("val", network, pairs[layer])  # (N, C)
            units = axes[weight].units.get(network.role, ()) if weight in axes else ()
            if len(units) != values.shape[1]:
                continue
            top = top_images(subject, values.T[[*units]], _IMAGES)
            if top is not None:
                seen.setdefault(weight, {})[network.role] = top
    return seen


def _aligned(matched: _Matched, layer: str) -> dict[str, Tensor]:
    """The layer's matrix of every network that has it, units in the order of the receiver's."""
    *others, receiver = matched.before
    in_order = {one: matched.after[one, receiver][0] for one in others}
    in_order[receiver] = matched.before[receiver]
    return {role: matrices[layer] for role, matrices in in_order.items() if layer in matrices}


def _unlike(answer: WeightsAnswer, most: int | None = None) -> str:
    """Which layers have no distance, the first `most` with shapes; nothing where all have one."""
    known = {layer for distances in answer.distances.values() for layer in distances}
    without = [layer for layer in answer.layers if layer not in known]
    shapes = {
        layer: dict.fromkeys(
            "x".join(map(str, of[layer].shape)) for of in answer.matrices.values() if layer in of
        )
        for layer in without[:most]
    }
    told = [f"{layer} ({' and '.join(of_layer)})" for layer, of_layer in shapes.items()]
    told += [f"{more} more"] if (more := len(without) - len(told)) else []
    return f"Widths differ, so distances are left out of {', '.join(told)}." if told else ""


def _distances_told(answer: WeightsAnswer, matching: str) -> tuple[str, str]:
    return (
        "Distances: |A - B| over the root of |A|² + |B|², 0 for equal weights and 1 for "
        f"unrelated ones. {matching} Matching finds likeness in anything: *untrained* columns "
        "do the same to networks of the same two kinds with random weights (mean ± standard "
        f"deviation over {len(answer.untrained)} pairs). *p* is how often one more such pair "
        "would come as near (Crawford & Howell 1998), of all layers together (Holm 1979). "
        "*Starts* is the standard deviation of the matched distance over the starts of the "
        "matching: the column before is of the start that ends nearest on the whole.",
        _distance_table(answer),
    )


def _distance_table(answer: WeightsAnswer) -> str:
    rows = []
    for two, distances in answer.distances.items():
        for layer, distance in distances.items():
            pair = answer.pair_names[two]
            row: list[Any] = [pair, layer, distance.before, distance.after]
            row.append(short_number(answer.numbers[f"distance_spread/{pair}/{layer}"], ".3f"))
            for what in ("before", "after"):
                mean, spread = answer.control(two, layer, what)
                row.append(f"{mean:.3f} ± {short_number(spread, '.3f')}")
            rows.append([*row, short_number(answer.numbers[f"distance_p/{pair}/{layer}"], ".3f")])
    header = ["networks", "layer", "before", "matched", "starts"]
    header += ["untrained", "untrained, matched", "p"]
    return markdown_table(rows, header, right=header[4:])


def _rows(answer: WeightsAnswer) -> Figure:
    panels, names, images = {}, {}, {}
    for layer, axes in answer.axes.items():
        title = f"{layer}: {axes.share:.0%} ({fmean(axes.chance):.0%})"
        panels[title] = axes.points
        names[title] = {
            role: [f"{role} unit {i}" for i in units] for role, units in axes.units.items()
        }
        images[title] = answer.seen.get(layer, {})
    labels = "first axis", "second axis"
    return point_panels(panels, *labels, names, images)


def _distributions(answer: WeightsAnswer) -> Figure:
    panels = {}
    for layer in answer.layers:
        everyone = {**answer.matrices, _UNTRAINED: answer.untrained[0]}
        series = {
            role: matrices[layer].flatten().numpy()
            for role, matrices in everyone.items()
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
    panels = {}
    for layer, facts in answer.facts.items():
        everyone = dict(facts)
        if layer in answer.untrained_facts:
            everyone[_UNTRAINED] = answer.untrained_facts[layer][0]
        panels[layer] = {
            role: (range(1, len(one.spectrum) + 1), one.spectrum / one.spectrum.max())
            for role, one in everyone.items()
        }
    labels = "number of the singular value", "over the largest"
    return line_panels(panels, *labels, controls=(_UNTRAINED,))


def _facts_table(answer: WeightsAnswer) -> str:
    rows = []
    for layer, of_layer in answer.facts.items():
        for role, facts in of_layer.items():
            matrix = answer.matrices[role][layer]
            row = [layer, role, f"{len(matrix)} x {matrix.shape[1]}"]
            row += [format_value(getattr(facts, fact)) for fact in FACTS[:-1]]
            rows.append([*row, f"{facts.effective_rank:.1f} of {min(matrix.shape)}"])
        if layer not in answer.untrained_facts:
            continue
        matrix = answer.untrained[0][layer]
        row = [layer, _UNTRAINED, f"{len(matrix)} x {matrix.shape[1]}"]
        for fact in FACTS:
            keys = f"{fact}/untrained_sender/{layer}", f"{fact}_spread/untrained_sender/{layer}"
            form = ".1f" if fact == "effective_rank" else ".3g"
            row.append(" ± ".join(short_number(answer.numbers[key], form) for key in keys))
        rows.append([*row[:-1], f"{row[-1]} of {min(matrix.shape)}"])
    header = ["layer", "network", "shape", "norm", "deviation", "zeros", "sparsity"]
    return markdown_table(rows, [*header, "effective rank"], right=header[3:])


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
        "*Untrained* are networks of the sender's kind with random weights, "
        f"{len(answer.untrained)} of them (mean ± standard deviation). " + " ".join(alone)
    )


def _matching(answer: WeightsAnswer) -> str:
    if answer.whole:
        return (
            "The others' units are in the order in which their weights are nearest to the "
            f"receiver's, found for all layers together, so that they compute what they did: the "
            f"best of {STARTS} local optima."
        )
    return (
        "The networks are not of one architecture whose units can be followed, so each layer's "
        "rows are matched by themselves, with their inputs in the order that they have."
    )
