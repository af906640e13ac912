"""Probes: what can be read out of each layer, and how much of that is the layer's doing?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from frankenstein.intervals import mean_and_margin
from frankenstein.labels import most_frequent
from frankenstein.questions.probes.readout import probe_layers
from frankenstein.questions.question import Question
from frankenstein.questions.subject import Subject
from frankenstein.report import Picture, Section, by_layer, curves, markdown_table
from frankenstein.report.progress import progress

Mean = tuple[float, float]  # over seeds, and half of its 95 % interval
_SEEDS = 3
_HIDDEN = 64  # units
_KINDS = {"linear": None, "hidden": _HIDDEN}
_SUMMARY = (
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
    "hidden": "The same for probes with one hidden layer of {hidden} units. Where they read more "
    "than linear ones, the labels are there, but not laid out for a linear layer to read.",
    "selectivity": "Selectivity by depth: held-out accuracy less the accuracy on random labels "
    "learned by heart. A probe near 1 reads the labels and could not have made them up; one near "
    "0, or below, is so strong that its accuracy says little of the layer.",
}
_CONTROLS = ("control", "control_held_out", "selectivity")  # numbers of trained networks alone


@dataclass(frozen=True)
class ProbesAnswer:
    """Every kind of probe at every layer of two networks and of their untrained twins."""

    # By kind, role and layer: the "accuracy", and of the trained ones all of `Readout` beside it.
    probes: Mapping[tuple[str, str, str], Mapping[str, Mean]]
    twins: Mapping[str, str]  # role: that of its untrained twin
    layers: tuple[str, ...]
    examples: tuple[int, int]  # training images that probes learn from, held-out ones
    most_frequent: float  # accuracy of the best answer that is always the same

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"linear/sender/relu3": ..., "linear_control/sender/relu3": ...}."""
        numbers = {"most_frequent": self.most_frequent}
        for (kind, role, layer), probe in self.probes.items():
            place = f"{role}/{layer}"
            numbers[f"{kind}/{place}"], numbers[f"{kind}_margin/{place}"] = probe["accuracy"]
            if role not in self.twins:
                continue
            untrained = self.probes[kind, self.twins[role], layer]["accuracy"][0]
            numbers[f"{kind}_excess/{place}"] = probe["accuracy"][0] - untrained
            numbers |= {f"{kind}_{name}/{place}": probe[name][0] for name in _CONTROLS}
        return numbers


@dataclass(frozen=True, kw_only=True)
class Probes(Question[ProbesAnswer]):
    """How well can the labels be read out of each layer, beside random labels?"""

    title = "Probes"
    needs = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> ProbesAnswer:
        """Linear probes and probes of one hidden layer, at every layer of sender and receiver."""
        subject.expect([self])
        train, val = subject.train, subject.val
        trained = subject.sender, subject.receiver
        jobs = [
            (kind, network, pair)
            for kind in _KINDS
            for network in (*trained, *subject.untrained)
            for pair in subject.pairs
        ]
        seeds = range(subject.seed, subject.seed + _SEEDS)
        probes = {}
        for kind, network, pair in progress(jobs, "fitting probes", subject.quiet):
            layer = subject.label(pair)
            readout = probe_layers(
                {layer: subject.rows("train", network, pair)},
                train.labels,
                {layer: subject.rows("val", network, pair)},
                val.labels,
                _KINDS[kind],
                seeds,
                control=network.control_of is None,
            )[layer]
            probes[kind, network.role, layer] = {
                name: mean_and_margin(values)
                for name in ("accuracy", *_CONTROLS)
                if (values := getattr(readout, name))
            }
        return ProbesAnswer(
            probes,
            {one.role: twin.role for one, twin in zip(trained, subject.untrained, strict=True)},
            tuple(map(subject.label, subject.pairs)),
            (len(train), len(val)),
            most_frequent(val.labels),
        )

    def show(self, answer: ProbesAnswer) -> Section:
        """Accuracy and selectivity by depth, and a table of everything."""
        probes, layers = answer.probes, answer.layers
        networks = {
            **{role: role for role in answer.twins},
            **{twin: f"untrained {role}" for role, twin in answer.twins.items()},
        }
        pictures = [
            _picture(
                answer,
                kind,
                {
                    name: [probes[kind, role, layer]["accuracy"] for layer in layers]
                    for role, name in networks.items()
                },
            )
            for kind in _KINDS
        ]
        selectivities = {
            f"{kind}, {role}": [probes[kind, role, layer]["selectivity"] for layer in layers]
            for kind in _KINDS
            for role in answer.twins
        }
        rows = [
            [layer, name, kind, *_cells(probes[kind, role, layer])]
            for layer in layers
            for role, name in networks.items()
            for kind in _KINDS
        ]
        header = ["layer", "network", "probe", "accuracy", "control", "control, held out"]
        header.append("selectivity")
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            *pictures,
            _picture(answer, "selectivity", selectivities),
            markdown_table(rows, header, right=header[3:]),
        )
        return Section(self.title, blocks, by_layer(_SUMMARY, answer.numbers, layers, _LINES))


def _picture(
    answer: ProbesAnswer,
    name: str,
    lines: Mapping[str, list[Mean]],  # series: a mean and its margin for each layer
) -> Picture:
    """A line per series over depth, with its margins."""
    depth = range(len(answer.layers))
    figure = curves(
        {line: (depth, [mean for mean, _ in points]) for line, points in lines.items()},
        x_label="layer",
        y_label="selectivity" if name == "selectivity" else "held-out accuracy",
        margins={line: [margin for _, margin in points] for line, points in lines.items()},
        ticks=answer.layers,
        controls=[f"untrained {role}" for role in answer.twins],
    )
    return Picture(name, figure, _CAPTIONS[name].format(hidden=_HIDDEN))


def _cells(probe: Mapping[str, Mean]) -> list[str]:
    means = (probe.get(name) for name in ("accuracy", *_CONTROLS))
    return [f"{mean[0]:.3f} ± {mean[1]:.3f}" if mean else "" for mean in means]


def _about(answer: ProbesAnswer) -> str:
    training, held_out = answer.examples
    return (
        f"Probes learn to tell the labels from pooled representations (means over places) of half "
        f"of {training} training images, another half for each of {_SEEDS} seeds, and are "
        f"scored on {held_out} held-out ones. Always answering the most frequent label is right "
        f"for {answer.most_frequent:.1%} of these. *Linear* is logistic regression of standardised "
        f"units, *hidden* has a layer of {_HIDDEN} units before it.\n\n"
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
