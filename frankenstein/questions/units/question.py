"""Are the activations of an image alike in two networks, raw and sorted, or is it an accident?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from matplotlib.figure import Figure
from torch import Tensor

from frankenstein.questions.question import Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.units.raw_and_sorted import (
    KINDS,
    in_other_orders,
    mean_and_spread,
    raw_and_sorted,
)
from frankenstein.report import Picture, Section, bars, by_layer, markdown_table

NETWORKS = "networks"
_NULLS = {  # what a number has to stand above: the highest of these
    "raw": ("units_shuffled",),
    "sorted": ("values_shuffled", "other_images", "untrained"),
}
Spread = tuple[float, float]  # mean and standard deviation
_ORDERS = 1000  # of the receiver's units, that the first control is the mean of
_CONTROLS = {
    "units_shuffled": "the receiver's units in another order, mean ± standard deviation over "
    f"{_ORDERS} orders: a raw number within it is what a chance order gives; sorted ones do not "
    "depend on the order",
    "values_shuffled": "each unit of the receiver with its own values, shuffled over the images",
    "other_images": "the receiver's activations of another image",
    "untrained": "two networks of the same kinds with random weights",
}
_SUMMARY = (
    "Correlation of both networks' activations of an image. Unit i with unit i (raw) counts "
    "beyond the spread of chance orders; sorted by activation, only what is above every control."
)
_LINES = (
    ("raw, above chance", "raw_pearson_excess/{}", "+.3f"),
    ("  spread of chance orders", "raw_pearson/units_shuffled_spread/{}", ".3f"),
    ("sorted, above controls", "sorted_pearson_excess/{}", "+.3f"),
    ("  sorted, by itself", "sorted_pearson/{}", ".3f"),
    ("  values shuffled", "sorted_pearson/values_shuffled/{}", ".3f"),
    ("  other images", "sorted_pearson/other_images/{}", ".3f"),
    ("  untrained", "sorted_pearson/untrained/{}", ".3f"),
)
_CAPTIONS = {
    "raw_pearson": "Correlation of the two networks' activations of an image, unit i against unit "
    "i. Mean over images, beside its controls. What stands above *units shuffled*, and by more "
    "than its spread in the table, is more than a chance order of units gives.",
    "sorted_pearson": "Correlation of the two networks' activations of an image, each network's "
    "units sorted by activation. Mean over images, beside its controls. Bars are high for "
    "anything; only what stands above the highest of *values shuffled*, *other images* and "
    "*untrained* is due to training and to the image.",
}


@dataclass(frozen=True)
class UnitsAnswer:
    """Every kind of likeness, of the two networks and of each control, by layer."""

    images: int
    layers: Mapping[str, Mapping[str, Mapping[str, Spread]]]  # layer: NETWORKS or control: kind

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
                if kind in ("raw_cosine", "raw_pearson"):
                    stray = values["units_shuffled"][kind][1]
                    numbers[f"{kind}/units_shuffled_spread/{layer}"] = stray
        return numbers


@dataclass(frozen=True, kw_only=True)
class Units(Question[UnitsAnswer]):
    """Are the activations of an image alike, unit by unit and whichever unit does it?"""

    title = "Units, raw and sorted"
    needs = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> UnitsAnswer:
        """For every pair of layers, with controls."""
        subject.expect([self])
        layers = {subject.label(pair): _of_pair(subject, pair) for pair in subject.pairs}
        return UnitsAnswer(len(subject.val), layers)

    def show(self, answer: UnitsAnswer) -> Section:
        """Figures and a table of both kinds beside their controls."""
        rows = []
        for layer, values in answer.layers.items():
            for name, of_kind in values.items():
                cells = (_cell(*of_kind[kind]) for kind in KINDS)
                rows.append([layer, name.replace("_", " "), *cells])
            excess = (answer.numbers[f"{kind}_excess/{layer}"] for kind in KINDS)
            rows.append([layer, "**excess**", *map(_cell, excess)])
        kinds = [kind.replace("_", " ") for kind in KINDS]
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            *(Picture(kind, _figure(answer, kind), text) for kind, text in _CAPTIONS.items()),
            markdown_table(rows, ["layer", "", *kinds], right=kinds),
        )
        short = by_layer(_SUMMARY, answer.numbers, [*answer.layers], _LINES)
        return Section(self.title, blocks, short)


def _of_pair(subject: Subject, pair: Pair) -> Mapping[str, Mapping[str, Spread]]:
    """Mean and spread of each kind, for the networks and for each control."""
    generator = subject.generator()
    x, y = (subject.rows("val", network, pair) for network in (subject.sender, subject.receiver))
    shuffled = torch.rand(y.shape, generator=generator).argsort(0).to(y.device)
    untrained = [subject.rows("val", network, pair) for network in subject.untrained]
    networks = _over_images(x, y)
    return {
        NETWORKS: networks,
        "units_shuffled": networks | _over_orders(x, y, generator),
        "values_shuffled": _over_images(x, y.gather(0, shuffled)),
        "other_images": _over_images(x, y.roll(1, 0)),
        "untrained": _over_images(*untrained),
    }


def _over_orders(x: Tensor, y: Tensor, generator: torch.Generator) -> dict[str, Spread]:
    """Mean and spread over orders of the raw numbers' means over images."""
    if x.shape != y.shape:
        return {}
    orders = torch.rand(_ORDERS, y.shape[1], generator=generator).argsort(1).to(y.device)
    return {
        kind: (float(means.mean()), float(means.std(correction=0)))
        for kind, means in in_other_orders(x, y, orders).items()
    }


def _over_images(x: Tensor, y: Tensor) -> dict[str, Spread]:
    kinds = raw_and_sorted(x[None], y[None])
    spreads = {kind: mean_and_spread(values[0, 0]) for kind, values in kinds.items()}
    return {kind: (float(mean), float(spread)) for kind, (mean, spread) in spreads.items()}


def _figure(answer: UnitsAnswer, kind: str) -> Figure:
    groups = {
        layer: {name.replace("_", " "): of_kind[kind][0] for name, of_kind in values.items()}
        for layer, values in answer.layers.items()
    }
    return bars(groups, kind.replace("_", " "), "mean over images", percent=False)


def _about(answer: UnitsAnswer) -> str:
    controls = "\n".join(
        f"- *{name.replace('_', ' ')}*: {about}" for name, about in _CONTROLS.items()
    )
    return (
        f"For each of {answer.images} held-out images: the cosine and the Pearson correlation over "
        "units of the two networks' activations (means over places). *Raw* holds unit i against "
        "unit i, *sorted* each network's units in the order of their activation. Sorting pairs the "
        "units as favourably as can be, whatever they are; so only what a sorted number has above "
        f"its controls counts:\n\n{controls}\n\nCells are mean ± standard deviation over images, "
        "but for *units shuffled*. The excess of a raw number is over *units shuffled*, that of a "
        "sorted one over the highest of the other three. Networks with different numbers of units "
        "have no raw numbers (n/a); sorted, their quantile functions are compared."
    )


def _cell(mean: float, spread: float | None = None) -> str:
    if math.isnan(mean):
        return "n/a"
    return f"{mean:+.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"
