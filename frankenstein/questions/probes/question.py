"""Probes: what can be read out of each layer, and how much of that is the layer's doing?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from frankenstein.intervals import mean_and_margin
from frankenstein.labels import most_frequent
from frankenstein.questions.probes.readout import Readout, probe_layers
from frankenstein.questions.question import Need, Question
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.report import Picture, Section, by_layer, curves, markdown_table
from frankenstein.report.progress import progress

_SEEDS = 3
_HIDDEN = 64  # units
_KINDS = {"linear": None, "hidden": _HIDDEN}
_UNTRAINED = ("untrained_sender", "untrained_receiver")
_SAID = (
    "Held-out accuracy of a linear readout of each layer. Learned is what is above the untrained "
    "network; a readout that knows random labels by heart as well says little of its layer."
)
_LINES = (
    ("sender", "linear/sender/{}", "%"),
    ("  untrained", "linear/untrained_sender/{}", "%"),
    ("  random labels, by heart", "linear_control/sender/{}", "%"),
    ("receiver", "linear/receiver/{}", "%"),
    ("  untrained", "linear/untrained_receiver/{}", "%"),
    ("  random labels, by heart", "linear_control/receiver/{}", "%"),
)
_CAPTIONS = {
    "linear": "Held-out accuracy of linear probes, by depth. What the untrained networks' probes "
    "reach is the images' doing and the architecture's; only what lies above it has been learned. "
    "Bands are 95 % confidence intervals over seeds.",
    "hidden": f"The same for probes with one hidden layer of {_HIDDEN} units. Where they read more "
    "than linear ones, the labels are there, but not laid out for a linear layer to read.",
    "selectivity": "Selectivity by depth: held-out accuracy less the accuracy on random labels "
    "learned by heart. A probe near 1 reads the labels and could not have made them up; one near "
    "0, or below, is so strong that its accuracy says little of the layer.",
}

Found = dict[tuple[str, str, str], Readout]  # kind of probe, whose network, label of the pair


def section(study: Study) -> Section:
    """Linear probes and probes of one hidden layer, for every layer of both networks."""
    found = _probed(study)
    layers = [study.label(pair) for pair in study.pairs]
    scores = {"most_frequent": most_frequent(study.val.labels)}
    for (kind, whose, layer), readout in found.items():
        place = f"{whose}/{layer}"
        scores[f"{kind}/{place}"], scores[f"{kind}_margin/{place}"] = _mean(readout.accuracy)
        if whose in _UNTRAINED:
            continue
        untrained = _mean(found[kind, f"untrained_{whose}", layer].accuracy)[0]
        scores[f"{kind}_excess/{place}"] = scores[f"{kind}/{place}"] - untrained
        scores[f"{kind}_control/{place}"] = _mean(readout.control)[0]
        scores[f"{kind}_control_held_out/{place}"] = _mean(readout.control_held_out)[0]
        scores[f"{kind}_selectivity/{place}"] = _mean(readout.selectivity)[0]
    pictures = [
        *(_picture(kind, _accuracies(found, kind), layers) for kind in _KINDS),
        _picture("selectivity", _selectivities(found), layers),
    ]
    blocks: tuple[str | Picture, ...] = (_about(study), *pictures, _table(found, layers))
    return Section("Probes", blocks, scores, by_layer(_SAID, scores, layers, _LINES))


def _probed(study: Study) -> Found:
    jobs = [
        (kind, whose, pair)
        for kind in _KINDS
        for whose in ("sender", "receiver", *_UNTRAINED)
        for pair in study.pairs
    ]
    seeds = range(study.seed, study.seed + _SEEDS)
    train, val, found = study.train, study.val, {}
    for kind, whose, pair in progress(jobs, "fitting probes", study.quiet):
        layer = pair[whose.endswith("receiver")]
        readouts = probe_layers(
            {layer: train.of[whose][layer]},
            train.labels,
            {layer: val.of[whose][layer]},
            val.labels,
            _KINDS[kind],
            seeds,
            control=whose not in _UNTRAINED,
        )
        found[kind, whose, study.label(pair)] = readouts[layer]
    return found


def _accuracies(found: Found, kind: str) -> dict[tuple[str, str], list[float]]:
    return {
        (whose.replace("_", " "), layer): readout.accuracy
        for (of, whose, layer), readout in found.items()
        if of == kind
    }


def _selectivities(found: Found) -> dict[tuple[str, str], list[float]]:
    return {
        (f"{kind}, {whose}", layer): readout.selectivity
        for (kind, whose, layer), readout in found.items()
        if whose not in _UNTRAINED
    }


def _picture(name: str, values: dict[tuple[str, str], list[float]], layers: list[str]) -> Picture:
    """A line per series over depth, with its margins."""
    lines = list(dict.fromkeys(line for line, _ in values))
    points = {line: [_mean(values[line, layer]) for layer in layers] for line in lines}
    figure = curves(
        {line: (range(len(layers)), [mean for mean, _ in row]) for line, row in points.items()},
        x_label="layer",
        y_label="selectivity" if name == "selectivity" else "held-out accuracy",
        margins={line: [margin for _, margin in row] for line, row in points.items()},
        ticks=layers,
        controls=[line for line in lines if line.startswith("untrained")],
    )
    return Picture(name, figure, _CAPTIONS[name])


def _table(found: Found, layers: list[str]) -> str:
    what: dict[str, Callable[[Readout], list[float]]] = {
        "accuracy": lambda readout: readout.accuracy,
        "control": lambda readout: readout.control,
        "control, held out": lambda readout: readout.control_held_out,
        "selectivity": lambda readout: readout.selectivity,
    }
    rows = [
        [
            layer,
            whose.replace("_", " "),
            kind,
            *(_cell(values(found[kind, whose, layer])) for values in what.values()),
        ]
        for layer in layers
        for whose in ("sender", "receiver", *_UNTRAINED)
        for kind in _KINDS
    ]
    return markdown_table(rows, ["layer", "network", "probe", *what], right=[*what])


def _about(study: Study) -> str:
    return (
        f"Probes learn to tell the labels from pooled representations (means over places) of half "
        f"of {len(study.train)} training images, another half for each of {_SEEDS} seeds, and are "
        f"scored on {len(study.val)} held-out ones. Always answering the most frequent label is "
        f"right for {most_frequent(study.val.labels):.1%} of these. *Linear* is logistic "
        f"regression of standardised units, *hidden* has a layer of {_HIDDEN} units before it.\n\n"
        "- *control*: accuracy of the same probe on random labels (Hewitt & Liang 2019). No two "
        "images are the same, so random labels can only be learned by heart, and the number is of "
        "the images they were learned on;\n"
        "- *control, held out*: on other images random labels must be chance; more means a leak;\n"
        "- *selectivity*: accuracy less control;\n"
        "- *untrained*: networks of the same kinds with random weights, probed alike: what the "
        "images themselves give away.\n\n"
        "Cells are mean ± half a 95 % confidence interval over seeds (Student's t). It spans other "
        "training images, random labels and starts of the hidden layer, not other held-out images."
    )


def _mean(values: Iterable[float]) -> tuple[float, float]:
    return mean_and_margin(list(values))


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    mean, margin = _mean(values)
    return f"{mean:.3f} ± {margin:.3f}"


@dataclass(frozen=True, kw_only=True)
class Probes(Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Probes"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> Section:
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
