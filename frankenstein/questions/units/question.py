"""Are the activations of an image alike in two networks, raw and sorted, or is it an accident?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from matplotlib.figure import Figure
from torch import Tensor

from frankenstein.intervals import chance_of, family_wise, mean_and_spread
from frankenstein.questions.question import Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.units.raw_and_sorted import (
    KINDS,
    ByChance,
    in_any_order,
    over_examples,
    raw_and_sorted,
)
from frankenstein.questions.units.unit_pairs import (
    FILE,
    Paired,
    pairs_about,
    pairs_table,
    unit_pairs,
    write_pairs,
)
from frankenstein.report import Picture, Section, bars, by_layer, markdown_table, short_number

NETWORKS = "networks"
_NULLS = {  # what a number has to stand above: the highest of these
    "raw": ("units_shuffled",),
    "sorted": ("values_shuffled", "other_images", "untrained"),
}
Spread = tuple[float, float]  # mean and standard deviation
_CONTROLS = {
    "units_shuffled": "the receiver's units in another order, mean ± standard deviation over all "
    "orders, in closed form; sorted ones do not depend on the order and have no such control",
    "values_shuffled": "each unit of the receiver with its own values, shuffled over the images",
    "other_images": "the receiver's activations of another image",
    "untrained": "two networks of the same kinds with random weights, BatchNorm's statistics "
    "counted on training images; mean ± standard deviation over {pairs} such pairs",
}
_SUMMARY = (
    "Correlation of both networks' activations of an image: unit i with unit i (raw), and sorted "
    "by activation. p: how often chance orders, or untrained networks, reach as much, in any layer."
)
_FINDINGS = (
    "At {layer} unit i correlates with unit i by {0} more than with units in a chance order "
    "(p {2}).",
    "At {layer} sorted activations correlate by {3} more than those of controls (p {9}).",
)
_LINES = (
    ("raw, above chance", "raw_pearson_excess/{}", "+.3f"),
    ("  spread of chance orders", "raw_pearson/units_shuffled_spread/{}", ".3f"),
    ("  p", "raw_pearson_p/{}", ".3f"),
    ("sorted, above controls", "sorted_pearson_excess/{}", "+.3f"),
    ("  sorted, by itself", "sorted_pearson/{}", ".3f"),
    ("  values shuffled", "sorted_pearson/values_shuffled/{}", ".3f"),
    ("  other images", "sorted_pearson/other_images/{}", ".3f"),
    ("  untrained", "sorted_pearson/untrained/{}", ".3f"),
    ("    their spread", "sorted_pearson/untrained_spread/{}", ".3f"),
    ("  p", "sorted_pearson_p/{}", ".3f"),
    ("paired one to one", "paired_correlation/{}", ".3f"),
    ("  untrained", "paired_correlation/untrained/{}", ".3f"),
)
_CAPTIONS = {
    "raw_pearson": "Correlation of the two networks' activations of an image, unit i against unit "
    "i. Mean over images, beside its controls. What stands above *units shuffled*, with a p below "
    "0.05 in the table, is more than a chance order of units gives.",
    "sorted_pearson": "Correlation of the two networks' activations of an image, each network's "
    "units sorted by activation. Mean over images, beside its controls. Bars are high for "
    "anything; only what stands above the highest of *values shuffled*, *other images* and "
    "*untrained*, with a p below 0.05 in the table, is due to training and to the image.",
}


@dataclass(frozen=True)
class UnitsAnswer:
    """Every kind of likeness, of the two networks and of each control, by layer."""

    images: int
    layers: Mapping[str, Mapping[str, Mapping[str, Spread]]]  # layer: NETWORKS or control: kind
    orders: Mapping[str, Mapping[str, ByChance]]  # layer: raw kind; none where widths differ
    untrained: Mapping[str, Mapping[str, Sequence[float]]]  # layer: kind: one for each pair
    pairs: Mapping[str, Paired]  # layer: which unit is which

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"raw_cosine/relu3": ..., "raw_cosine/untrained/relu3": ...}."""
        numbers: dict[str, float] = {}
        for layer, values in self.layers.items():
            for kind in KINDS:
                mean, spread = values[NETWORKS][kind]
                numbers |= {f"{kind}/{layer}": mean, f"{kind}_spread/{layer}": spread}
                nulls = [values[name][kind][0] for name in _NULLS[kind.partition("_")[0]]]
                highest = max((null for null in nulls if not math.isnan(null)), default=math.nan)
                numbers[f"{kind}_excess/{layer}"] = mean - highest
                for control in _CONTROLS:
                    numbers[f"{kind}/{control}/{layer}"] = values[control][kind][0]
                _, numbers[f"{kind}/untrained_spread/{layer}"] = values["untrained"][kind]
                if kind.startswith("raw"):
                    stray = values["units_shuffled"][kind][1]
                    numbers[f"{kind}/units_shuffled_spread/{layer}"] = stray
        for kind in KINDS:
            chances = {layer: self._chance(kind, layer) for layer in self.layers}
            numbers |= {f"{kind}_p/{layer}": p for layer, p in family_wise(chances).items()}
        for layer, paired in self.pairs.items():
            mean, spread = paired.control
            numbers[f"paired_correlation/{layer}"] = paired.pairs.mean
            numbers[f"paired_correlation/untrained/{layer}"] = mean
            numbers[f"paired_correlation/untrained_spread/{layer}"] = spread
        return numbers

    @property
    def raw(self) -> Sequence[str]:
        """Layers of as many units in both networks, which alone have raw numbers."""
        return [layer for layer, orders in self.orders.items() if orders]

    def _chance(self, kind: str, layer: str) -> float:
        """Of raw numbers over orders, of sorted ones over untrained networks."""
        if kind.startswith("raw"):
            return self.orders[layer][kind].chance if self.orders[layer] else math.nan
        return chance_of(self.layers[layer][NETWORKS][kind][0], self.untrained[layer][kind])


@dataclass(frozen=True, kw_only=True)
class Units(Question[UnitsAnswer]):
    """Are the activations of an image alike, unit by unit and whichever unit does it?"""

    title = "Units, raw and sorted"
    needs = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> UnitsAnswer:
        """For every pair of layers, with controls."""
        subject.expect([self])
        found = {subject.label(pair): _of_pair(subject, pair) for pair in subject.pairs}
        return UnitsAnswer(
            len(subject.val),
            {label: layers for label, (layers, _, _) in found.items()},
            {label: orders for label, (_, orders, _) in found.items()},
            {label: untrained for label, (_, _, untrained) in found.items()},
            {subject.label(pair): _paired(subject, pair) for pair in subject.pairs},
        )

    def show(self, answer: UnitsAnswer) -> Section:
        """Figures and a table of both kinds beside their controls, and which unit is which."""
        kinds = [kind for kind in KINDS if answer.raw or not kind.startswith("raw")]
        rows = []
        for layer, values in answer.layers.items():
            for name, of_kind in values.items():
                cells = [
                    _cell(*of_kind[kind]) if _says(answer, name, kind, layer) else ""
                    for kind in kinds
                ]
                if any(cells):
                    rows.append([layer, name.replace("_", " "), *cells])
            excess = (answer.numbers[f"{kind}_excess/{layer}"] for kind in kinds)
            rows.append([layer, "excess", *map(_cell, excess)])
            chances = (answer.numbers[f"{kind}_p/{layer}"] for kind in kinds)
            rows.append([layer, "p", *(short_number(p, ".3f") for p in chances)])
        header = [kind.replace("_", " ") for kind in kinds]
        pictures = {kind: text for kind, text in _CAPTIONS.items() if kind in kinds}
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            *(Picture(kind, _figure(answer, kind), text) for kind, text in pictures.items()),
            *([_without_raw(answer)] if len(answer.raw) < len(answer.layers) else []),
            markdown_table(rows, ["layer", "", *header], right=header),
            pairs_about(answer.pairs),
            pairs_table(answer.pairs),
        )
        short = by_layer(_summary(answer), answer.numbers, [*answer.layers], _LINES, _FINDINGS)
        return Section(self.title, blocks, short, {FILE: partial(write_pairs, layers=answer.pairs)})


def _says(answer: UnitsAnswer, name: str, kind: str, layer: str) -> bool:
    """Whether there is such a number: sorted ones are the same in any order of the units."""
    if kind.startswith("raw"):
        return layer in answer.raw
    return name != "units_shuffled"


def _of_pair(
    subject: Subject, pair: Pair
) -> tuple[
    Mapping[str, Mapping[str, Spread]], Mapping[str, ByChance], Mapping[str, Sequence[float]]
]:
    """Mean and spread of each kind, for the networks and for each control."""
    generator = subject.generator()
    x, y = (subject.rows("val", network, pair) for network in (subject.sender, subject.receiver))
    shuffled = torch.rand(y.shape, generator=generator).argsort(0).to(y.device)
    twins = [
        _over_images(*(subject.rows("val", network, pair) for network in both))
        for both in subject.untrained
    ]
    untrained = {kind: [one[kind][0] for one in twins] for kind in KINDS}
    networks = _over_images(x, y)
    orders = in_any_order(x, y) if x.shape == y.shape else {}
    values = {
        NETWORKS: networks,
        "units_shuffled": networks | {kind: one[:2] for kind, one in orders.items()},
        "values_shuffled": _over_images(x, y.gather(0, shuffled)),
        "other_images": _over_images(x, y.roll(1, 0)),
        "untrained": {kind: mean_and_spread(means) for kind, means in untrained.items()},
    }
    return values, orders, untrained


def _over_images(x: Tensor, y: Tensor) -> dict[str, Spread]:
    kinds = raw_and_sorted(x[None], y[None])
    spreads = {kind: over_examples(values[0, 0]) for kind, values in kinds.items()}
    return {kind: (float(mean), float(spread)) for kind, (mean, spread) in spreads.items()}


def _paired(subject: Subject, pair: Pair) -> Paired:
    both = subject.sender, subject.receiver
    x, y = (subject.rows("val", network, pair) for network in both)
    twins = (
        [subject.rows("val", network, pair) for network in untrained]
        for untrained in subject.untrained
    )
    return Paired(unit_pairs(x, y), [unit_pairs(*two) for two in twins], (x.shape[1], y.shape[1]))


def _figure(answer: UnitsAnswer, kind: str) -> Figure:
    groups = {
        layer: {
            name.replace("_", " "): of_kind[kind][0]
            for name, of_kind in values.items()
            if _says(answer, name, kind, layer)
        }
        for layer, values in answer.layers.items()
    }
    groups = {layer: values for layer, values in groups.items() if values}
    return bars(groups, kind.replace("_", " "), "mean over images", percent=False)


def _summary(answer: UnitsAnswer) -> str:
    without = len(answer.raw) < len(answer.layers)
    return f"{_SUMMARY} {_without_raw(answer)}" if without else _SUMMARY


def _without_raw(answer: UnitsAnswer) -> str:
    """Which layers have no raw numbers, and why."""
    units = {layer: paired.units for layer, paired in answer.pairs.items()}
    without = [
        f"{layer} ({units[layer][0]} and {units[layer][1]} units)"
        for layer in answer.layers
        if layer not in answer.raw
    ]
    return (
        f"There are no raw numbers of {', '.join(without)}: widths differ, so that there is no "
        f"unit i in common. {FILE} says which unit is which."
    )


def _about(answer: UnitsAnswer) -> str:
    pairs = len(next(iter(next(iter(answer.untrained.values())).values())))
    controls = "\n".join(
        f"- *{name.replace('_', ' ')}*: {about.format(pairs=pairs)}"
        for name, about in _CONTROLS.items()
    )
    return (
        f"For each of {answer.images} held-out images: the cosine and the Pearson correlation over "
        "units of the two networks' activations (means over places). *Raw* holds unit i against "
        "unit i, *sorted* each network's units in the order of their activation. Sorting pairs the "
        "units as favourably as can be, whatever they are; so only what a sorted number has above "
        f"its controls counts:\n\n{controls}\n\nCells are mean ± standard deviation over images, "
        "but for *units shuffled* and *untrained*. The excess of a raw number is over *units "
        "shuffled*, that of a sorted one over the highest of the other three. *p* is how often "
        "chance gives as much: of raw numbers an order of the units at random, of sorted ones one "
        "more untrained pair (Crawford & Howell 1998); both for all layers of a column together "
        "(Holm 1979), so that with nothing to be found one column in twenty has a p below 0.05. "
        "Networks with different numbers of units have no raw numbers; sorted, their quantile "
        "functions are compared."
    )


def _cell(mean: float, spread: float | None = None) -> str:
    if math.isnan(mean):
        return "n/a"
    return f"{mean:+.3f}" if spread is None else f"{mean:.3f} ± {short_number(spread, '.3f')}"
