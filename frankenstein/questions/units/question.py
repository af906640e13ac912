"""Raw and sorted: are the activations of an image alike in two networks, and is it an accident?"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor

from frankenstein.questions.question import Need, Question
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.questions.units.raw_and_sorted import (
    KINDS,
    in_other_orders,
    mean_and_spread,
    raw_and_sorted,
)
from frankenstein.report import Picture, Section, bars, by_layer, markdown_table

Numbers = dict[str, dict[str, tuple[float, float]]]  # networks or control: {kind: mean and spread}

_NETWORKS = "networks"
_ORDERS = 1000  # of the receiver's units, that the first control is the mean of
_CONTROLS = {
    "units shuffled": f"the receiver's units in another order, mean ± standard deviation over "
    f"{_ORDERS} orders: a raw number within it is one that a chance order gives; sorted ones do "
    "not feel it",
    "values shuffled": "each unit of the receiver with its own values, shuffled over the images",
    "other images": "the receiver's activations of another image",
    "untrained": "two networks of the same kinds with random weights",
}
_SAID = (
    "Correlation of both networks' activations of an image. Unit i with unit i (raw) counts "
    "beyond the spread of chance orders; sorted by activation, only what is above every control."
)
_LINES = (
    ("raw, above chance", "raw_pearson_excess/{}", "+.3f"),
    ("  spread of chance orders", "raw_pearson/units_shuffled_spread/{}", ".3f"),
    ("sorted, above controls", "sorted_pearson_excess/{}", "+.3f"),
    ("  sorted, by itself", "sorted_pearson/{}", ".3f"),
    *(
        (f"  {name}", f"sorted_pearson/{name.replace(' ', '_')}/{{}}", ".3f")
        for name in ("values shuffled", "other images", "untrained")
    ),
)
_NULLS = {  # what a number has to stand above: the highest of these
    "raw": ("units shuffled",),
    "sorted": ("values shuffled", "other images", "untrained"),
}
_CAPTIONS = {
    "raw_pearson": "Correlation of the two networks' activations of an image, unit i against unit "
    "i. Mean over images, beside its controls. What stands above *units shuffled*, and by more "
    "than its spread in the table, is more than a chance order of units gives.",
    "sorted_pearson": "Correlation of the two networks' activations of an image, each network's "
    "units sorted by activation. Mean over images, beside its controls. Bars are high for "
    "anything; only what stands above the highest of *values shuffled*, *other images* and "
    "*untrained* is due to training and to the image.",
}


def section(study: Study) -> Section:
    """The answer for every pair of layers, with controls."""
    found = {study.label(pair): _of_pair(study, *pair) for pair in study.pairs}
    scores: dict[str, float] = {}
    rows = []
    for layer, values in found.items():
        excess = {kind: _excess(values, kind) for kind in KINDS}
        for kind in KINDS:
            mean, spread = values[_NETWORKS][kind]
            scores |= {f"{kind}/{layer}": mean, f"{kind}_spread/{layer}": spread}
            scores[f"{kind}_excess/{layer}"] = excess[kind]
            for control in _CONTROLS:
                name = control.replace(" ", "_")
                scores[f"{kind}/{name}/{layer}"] = values[control][kind][0]
            if kind in ("raw_cosine", "raw_pearson"):
                stray = values["units shuffled"][kind][1]
                scores[f"{kind}/units_shuffled_spread/{layer}"] = stray
        for name, numbers in values.items():
            rows.append([layer, name, *(_cell(*numbers[kind]) for kind in KINDS)])
        rows.append([layer, "**excess**", *(_cell(excess[kind]) for kind in KINDS)])
    kinds = [kind.replace("_", " ") for kind in KINDS]
    blocks: tuple[str | Picture, ...] = (
        _about(study),
        *(Picture(kind, _figure(found, kind), said) for kind, said in _CAPTIONS.items()),
        markdown_table(rows, ["layer", "", *kinds], right=kinds),
    )
    return Section(
        "Units, raw and sorted", blocks, scores, by_layer(_SAID, scores, [*found], _LINES)
    )


def _of_pair(study: Study, one: str, other: str) -> Numbers:
    """Mean and spread of each kind, for the networks and for each control."""
    sample, generator = study.val, study.generator()
    x, y = sample.sender[one], sample.receiver[other]
    shuffled = torch.rand(y.shape, generator=generator).argsort(0).to(y.device)
    untrained = [sample.of[f"untrained_{side}"] for side in ("sender", "receiver")]
    networks = _numbers(x, y)
    return {
        _NETWORKS: networks,
        "units shuffled": networks | _of_orders(x, y, generator),
        "values shuffled": _numbers(x, y.gather(0, shuffled)),
        "other images": _numbers(x, y.roll(1, 0)),
        "untrained": _numbers(untrained[0][one], untrained[1][other]),
    }


def _of_orders(x: Tensor, y: Tensor, generator: torch.Generator) -> dict[str, tuple[float, float]]:
    """Mean and spread over orders of the raw numbers' means over images."""
    if x.shape != y.shape:
        return {}
    orders = torch.rand(_ORDERS, y.shape[1], generator=generator).argsort(1).to(y.device)
    return {
        kind: (float(means.mean()), float(means.std(correction=0)))
        for kind, means in in_other_orders(x, y, orders).items()
    }


def _numbers(x: Tensor, y: Tensor) -> dict[str, tuple[float, float]]:
    """Mean and spread over images."""
    found = raw_and_sorted(x[None], y[None])
    spreads = {kind: mean_and_spread(values[0, 0]) for kind, values in found.items()}
    return {kind: (float(mean), float(spread)) for kind, (mean, spread) in spreads.items()}


def _excess(values: Numbers, kind: str) -> float:
    """How far the networks' mean stands above the highest control's; NaN without one."""
    nulls = [values[name][kind][0] for name in _NULLS[kind.partition("_")[0]]]
    highest = max((null for null in nulls if not math.isnan(null)), default=math.nan)
    return values[_NETWORKS][kind][0] - highest


def _figure(found: dict[str, Numbers], kind: str) -> Figure:
    groups = {
        layer: {name: numbers[kind][0] for name, numbers in values.items()}
        for layer, values in found.items()
    }
    return bars(groups, kind.replace("_", " "), "mean over images", percent=False)


def _about(study: Study) -> str:
    controls = "\n".join(f"- *{name}*: {about}" for name, about in _CONTROLS.items())
    return (
        f"For each of {len(study.val)} held-out images, the cosine and the Pearson correlation "
        "over units of the two networks' activations (means over places), unit i against unit i "
        "(raw) and after sorting each network's units by activation (sorted). Sorting pairs the "
        "units as favourably as can be, for anything; what it gives is worth no more than what it "
        f"adds to its controls:\n\n{controls}\n\nCells are mean ± standard deviation over images, "
        "but for *units shuffled*. "
        "The excess of a raw number is over *units shuffled*, that of a sorted one over the "
        "highest of the other three. Networks with different numbers of units have no raw "
        "numbers (n/a); sorted, their quantile functions are compared."
    )


def _cell(mean: float, spread: float | None = None) -> str:
    if math.isnan(mean):
        return "n/a"
    return f"{mean:+.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"


@dataclass(frozen=True, kw_only=True)
class Units(Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Units, raw and sorted"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> Section:
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
