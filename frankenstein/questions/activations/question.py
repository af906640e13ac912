"""Activations: their distribution, dead and saturated units, selectivity, dimension, top images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from frankenstein.labels import several
from frankenstein.questions.activations.facts import (
    ActivationFacts,
    ActivationSums,
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.questions.activations.top_images import IMAGES, top_images
from frankenstein.questions.question import Need, Question, Watcher
from frankenstein.questions.sample import Layers
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.report import Picture, Section, Short, by_layer, curves, markdown_table
from frankenstein.report.panels import histogram_line, line_panels
from frankenstein.surgery.activation_layers import bounds_of

Key = tuple[str, str]  # whose network, layer
Numbers = dict[str, float]

_BINS_A_STEP = 4  # of the histogram, in a figure
_BY_CHANCE = ("class_variance", "dimension")  # what shuffling leaves of them is known
_SAID = (
    "Share of the units' variance between classes; effective dimension, 1 where all units go "
    "together; units that never change. Learned is what an untrained network does not have."
)
_CAPTIONS = {
    "distributions": "Distribution of the activations of every layer. Density over value, each "
    "network in units of its own root mean square, of all units, held-out images and places, "
    "without what is exactly 0 (its share is in the table) and without the outermost thousandths. "
    "Dashes are a network that has learned nothing: where the lines agree with it, the shape comes "
    "from the architecture.",
    "selectivity": "Class selectivity by depth, mean over units. The index of Morcos et al. 2018 "
    "is 0 for a unit that all classes activate alike and 1 for one that a single class does. What "
    "is no more than with shuffled labels is chance, and what is no more than in the untrained "
    "network has not been learned.",
    "class_variance": "Share of the units' variance that lies between classes, by depth. Mean over "
    "units. What is no more than with shuffled labels is chance, and what is no more than in "
    "the untrained network has not been learned.",
    "dimension": "Effective dimension by depth. The participation ratio of the units' covariance "
    "is 1 if all units go together, their number if they vary alike and independently. *Shuffled* "
    "is the sender with each unit's values shuffled over the images: what is below it is due to "
    "units that go together.",
}


class ActivationWatcher:
    """Sums of every network's activations in every layer, made in the pass over the data."""

    def __init__(self, study: Study) -> None:
        self.of: dict[Key, ActivationSums] = {
            (whose, layer): ActivationSums(bounds, IMAGES)
            for whose, network in {**study.trained, **study.untrained}.items()
            for layer, bounds in bounds_of(network, study.layers(whose)).items()
        }

    def __call__(self, found: Mapping[str, Layers], labels: Tensor) -> None:
        """Add a batch of all networks."""
        for (whose, layer), sums in self.of.items():
            sums.update(found[whose][layer])


def section(study: Study) -> Section:
    """Every layer of every network, an untrained one beside them as a control."""
    sample = study.val  # first: its pass fills the sums
    sums: dict[Key, ActivationSums] = study.watchers["activations"].of  # type: ignore[attr-defined]
    facts = {key: one.result() for key, one in sums.items()}
    numbers: dict[Key, Numbers] = {}
    for pair in study.pairs:
        for whose in sample.of:
            key = whose, _layer(whose, pair)
            rows = sample.of[whose][key[1]]
            numbers[key] = _plain(facts[key]) | _of_rows(rows, sample.labels, study)
    scores = {
        f"{name}/{whose}/{layer}": value
        for (whose, layer), found in numbers.items()
        for name, value in found.items()
    }
    units = {(whose, layer): sample.of[whose][layer].shape[1] for whose, layer in numbers}
    blocks: list[str | Picture] = [
        _about(len(sample)),
        Picture("distributions", _distributions(study, facts), _CAPTIONS["distributions"]),
        _table(numbers, units),
    ]
    for name in ("selectivity", "class_variance", "dimension"):
        if any(found[name] == found[name] for found in numbers.values()):  # not all are NaN
            blocks.append(Picture(name, _by_depth(study, numbers, name), _CAPTIONS[name]))
    blocks += [top_images(study, sums, pair) for pair in study.pairs]
    return Section("Activations", tuple(blocks), scores, _short(study, scores))


def _short(study: Study, scores: Numbers) -> Short:
    """A network at a time, by the sender's layers."""
    keys = {}
    for pair in study.pairs:
        for whose in study.val.of:
            place = f"{whose}/{_layer(whose, pair)}"
            for name in ("dead", *_BY_CHANCE, *(f"{name}_shuffled" for name in _BY_CHANCE)):
                keys[f"{name}/{whose}/{study.label(pair)}"] = scores[f"{name}/{place}"]
    lines = []
    for name, said, form in (
        ("class_variance", "between classes", "%"),
        ("dimension", "dimension", ".1f"),
        ("dead", "dead units", "%"),
    ):
        for whose in ("sender", "receiver"):
            lines.append((f"{said}, {whose}", f"{name}/{whose}/{{}}", form))
        lines.append(("  untrained", f"{name}/untrained_sender/{{}}", form))
        if name in _BY_CHANCE:
            lines.append(("  shuffled", f"{name}_shuffled/sender/{{}}", form))
    return by_layer(_SAID, keys, [study.label(pair) for pair in study.pairs], lines)


def _plain(facts: ActivationFacts) -> Numbers:
    names = ("dead", "saturated_values", "saturated_units", "zeros", "rms", "sparseness")
    return {name: getattr(facts, name) for name in names}


def _of_rows(z: Tensor, labels: Tensor, study: Study) -> Numbers:
    """Selectivity and dimension of pooled activations, with what is left of each by chance."""
    generator = study.generator()
    mixed = labels[torch.randperm(len(labels), generator=generator).to(labels.device)]
    order = torch.rand(z.shape, generator=generator).argsort(0).to(z.device)
    return {
        "selectivity": _selectivity(z, labels),
        "selectivity_shuffled": _selectivity(z, mixed),
        "class_variance": _between(z, labels),
        "class_variance_shuffled": _between(z, mixed),
        "dimension": float(participation_ratio(z)),
        "dimension_shuffled": float(participation_ratio(z.gather(0, order))),
    }


def _selectivity(z: Tensor, labels: Tensor) -> float:
    """The mean over units; none for a layer that is negative anywhere: a few units would speak."""
    return _mean(class_selectivity(z, labels)) if z.min() >= 0 else float("nan")


def _between(z: Tensor, labels: Tensor) -> float:
    return float("nan") if several(labels) else _mean(class_variance(z, labels))


def _mean(values: Tensor) -> float:
    return float(values.nanmean())


def _table(numbers: Mapping[Key, Numbers], units: Mapping[Key, int]) -> str:
    rows: list[list[Any]] = []
    for (whose, layer), found in numbers.items():
        plain = [found[name] for name in ("dead", "saturated_values", "saturated_units", "zeros")]
        chance = [
            f"{found[name]:.3f} ({found[f'{name}_shuffled']:.3f})".replace("nan", "n/a")
            for name in ("selectivity", "class_variance")
        ]
        dimension = f"{found['dimension']:.1f} ({found['dimension_shuffled']:.1f}) of "
        dimension = dimension.replace("nan", "n/a") + str(units[whose, layer])
        network = whose.replace("_", " ")
        plain += [found["rms"], found["sparseness"]]
        rows.append([layer, network, *plain, *chance, dimension])
    header = ["layer", "network", "dead", "saturated values", "saturated units", "zeros"]
    header += ["rms", "sparseness", "selectivity", "class variance", "dimension"]
    return markdown_table(rows, header, percent=header[2:6], right=header[8:])


def _distributions(study: Study, facts: Mapping[Key, ActivationFacts]) -> Figure:
    panels: dict[str, dict[str, tuple[Any, Any]]] = {}
    for pair in study.pairs:
        series = panels.setdefault(study.label(pair), {})
        for whose in (*study.trained, "untrained_sender"):
            series[_called(whose)] = _line(facts[whose, _layer(whose, pair)])
    label = "activation over the root of the mean square"
    return line_panels(panels, label, "density", steps=True, controls=["untrained"])


def _line(facts: ActivationFacts) -> tuple[Any, Any]:
    """The density of all that is not 0, without the outermost thousandth on either side."""
    counts, edges = (part.cpu() for part in facts.histogram)
    # Zeros are in the bin where 0 is, if any; no other number need be there.
    at_zero = (edges[:-1] <= 0) & (edges[1:] > 0)
    others = (counts - at_zero * facts.zeros * counts.sum()).clamp(min=0)
    spare = -len(others) % _BINS_A_STEP
    others = functional.pad(others, (0, spare)).unflatten(0, (-1, _BINS_A_STEP)).sum(1)
    width = edges[1] - edges[0]
    edges = edges[0] + torch.arange(len(others) + 1) * width * _BINS_A_STEP
    below = others.cumsum(0) / others.sum()
    kept = (below > 0.001) & (below - others / others.sum() < 0.999)
    if facts.rms == 0 or not kept.any():  # all dead
        return [0.0], [float("nan")]
    first, last = kept.nonzero().flatten()[[0, -1]].tolist()
    return histogram_line(others[first : last + 1], edges[first : last + 2] / facts.rms)


def _by_depth(study: Study, numbers: Mapping[Key, Numbers], name: str) -> Figure:
    """A line over the layers for each network, and one for what chance leaves of the sender's."""
    depth = [*range(1, len(study.pairs) + 1)]
    lines = {_called(whose): (whose, name) for whose in (*study.trained, "untrained_sender")}
    lines["shuffled"] = "sender", f"{name}_shuffled"
    series = {
        called: (depth, [numbers[whose, _layer(whose, pair)][what] for pair in study.pairs])
        for called, (whose, what) in lines.items()
    }
    return curves(series, "", "layer, from the first to the last", name.replace("_", " "))


def _about(examples: int) -> str:
    return (
        f"Every number is over {examples} held-out images; *untrained* networks have the same "
        "architecture and random weights. *Dead* units have one value for all images and places. "
        "*Saturated* are values within 2.5 % of the range of a bounded nonlinearity (tanh beyond "
        "±0.95), and units of which 95 % of the values are. *Zeros* are values of exactly 0. "
        "*Rms* is the root of the mean square of all values. *Sparseness* is that of Vinje & "
        "Gallant 2000: 0 if all of a unit's values are of one size, 1 if one alone is not 0. "
        "*Selectivity* is the index of Morcos et al. 2018, for layers that are never negative; "
        "*class variance* is the share of a unit's variance between classes (eta squared), of "
        "any sign. *Dimension* is the participation ratio of the covariance of units. The last "
        "three are of means over places, and behind each stands, in brackets, what chance leaves "
        "of it: with the labels shuffled, or each unit's values."
    )


def _layer(whose: str, pair: tuple[str, str]) -> str:
    return pair[whose.endswith("receiver")]


def _called(whose: str) -> str:
    return "untrained" if whose.startswith("untrained_") else whose


@dataclass(frozen=True, kw_only=True)
class Activations(Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Activations"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def watcher(self, subject: Subject) -> Watcher:
        return ActivationWatcher(Study(subject))

    def ask(self, subject: Subject) -> Section:
        study = Study(subject)
        study.watchers = {"activations": subject.watched(self)}
        return section(study)

    def show(self, answer: Section) -> Section:
        return answer
