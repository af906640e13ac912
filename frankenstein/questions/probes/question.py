"""Probes: what can be read out of each layer, and how much of that is the layer's doing?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, product

from frankenstein.errors import counted
from frankenstein.intervals import chance_of, family_wise, mean_and_margin, mean_and_spread
from frankenstein.labels import most_frequent
from frankenstein.questions.probes.carried import Carried, Parts, carry_directions, carry_probe
from frankenstein.questions.probes.carried_page import carried_csv, carried_table
from frankenstein.questions.probes.readout import probe_layers
from frankenstein.questions.question import NotAskable, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.report import Picture, Section, by_layer, curves, markdown_table, short_number
from frankenstein.report.progress import progress

Mean = tuple[float, float]  # over seeds, and half of its 95 % interval
_SEEDS = 3
_HIDDEN = 64  # units
_KINDS = {"linear": None, "hidden": _HIDDEN}
_SUMMARY = (
    "Held-out accuracy of a linear readout of each layer. Learned is what is above untrained "
    "networks (p: of one more of them, in any layer); one that knows random labels by heart as "
    "well says little of its layer."
)
_FINDINGS = (
    "A linear readout of {layer} is right in {0} of the images for the sender and in {5} for the "
    "receiver; for untrained networks in {1} and {6}.",
)
_LINES = (
    ("sender", "linear/sender/{}", "%"),
    ("  untrained", "linear/untrained_sender/{}", "%"),
    ("    their spread", "linear_spread/untrained_sender/{}", "%"),
    ("  p", "linear_p/sender/{}", ".3f"),
    ("  random labels, by heart", "linear_control/sender/{}", "%"),
    ("receiver", "linear/receiver/{}", "%"),
    ("  untrained", "linear/untrained_receiver/{}", "%"),
    ("    their spread", "linear_spread/untrained_receiver/{}", "%"),
    ("  p", "linear_p/receiver/{}", ".3f"),
    ("  random labels, by heart", "linear_control/receiver/{}", "%"),
    ("  by the sender's probe", "carried_reverse/{}", "%"),
    ("  area by its directions", "direction_own/{}", ".3f"),
    ("  area by the sender's", "direction_reverse/{}", ".3f"),
)
_CAPTIONS = {
    "linear": "Held-out accuracy of linear probes, by depth. What the untrained networks' probes "
    "reach is the images' doing and the architecture's; only what lies above it has been learned. "
    "Bands are 95 % confidence intervals over seeds, and of untrained networks the standard "
    "deviation over {networks} of them.",
    "hidden": "The same for probes with one hidden layer of {hidden} units. Where they read more "
    "than linear ones, the labels are there, but not laid out for a linear layer to read.",
    "selectivity": "Selectivity by depth: held-out accuracy less the accuracy on random labels "
    "learned by heart. A probe near 1 reads the labels and could not have made them up; one near "
    "0, or below, is so strong that its accuracy says little of the layer.",
    "carried": "The sender's linear probe on the receiver, by depth: held-out accuracy once the "
    "receiver's units are brought to the sender's by the reverse map (least squares from receiver "
    "to sender), by a rotation, by the inverse of least squares from sender to receiver, or not at "
    "all. Near the receiver's own probe, what the sender's reads lies in the receiver in "
    "the same way up to that map. The inverse shows why the reverse map is solved anew.",
    "directions": "Class directions (the mean of a class less that of the others), the receiver's "
    "own and the sender's carried in the same ways: area under the ROC curve of held-out examples "
    "of a class against others along its direction, mean over classes. 0.5 knows nothing.",
}
_WAYS = {  # a probe is carried in: what the figure calls them
    "reverse": "reverse map",
    "rotated": "rotation",
    "inverted": "forward map, inverted",
    "raw": "as it is",
}
_Y_LABELS = {"selectivity": "selectivity", "directions": "area under the ROC curve"}
_CONTROLS = ("control", "control_held_out", "selectivity")  # numbers of trained networks alone


@dataclass(frozen=True)
class ProbesAnswer:
    """Every kind of probe at every layer of two networks and of their untrained twins."""

    probes: Mapping[tuple[str, str, str], Mapping[str, Mean]]  # by kind, role and layer: `Readout`
    # Likewise: accuracies of the untrained networks that one is held against.
    untrained: Mapping[tuple[str, str, str], Sequence[float]]
    carried: Mapping[str, Carried]  # by layer: the sender's linear probe, on the receiver
    directions: Mapping[str, Mapping[str, float]]  # by layer and way: see `carry_directions`
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
            mean, spread = mean_and_spread(self.untrained[kind, role, layer])
            numbers[f"{kind}/untrained_{place}"] = mean
            numbers[f"{kind}_spread/untrained_{place}"] = spread
            numbers[f"{kind}_excess/{place}"] = probe["accuracy"][0] - mean
            numbers |= {f"{kind}_{name}/{place}": probe[name][0] for name in _CONTROLS}
        for layer, carried in self.carried.items():
            for way, accuracies in carried._asdict().items():
                if accuracies:
                    mean, margin = mean_and_margin(accuracies)
                    numbers |= {f"carried_{way}/{layer}": mean}
                    numbers |= {f"carried_{way}_margin/{layer}": margin}
        for layer, ways in self.directions.items():
            numbers |= {f"direction_{way}/{layer}": area for way, area in ways.items()}
        for kind, role in product(_KINDS, self.roles):
            chances = {}
            for layer in self.layers:
                key = kind, role, layer
                chances[layer] = chance_of(self.probes[key]["accuracy"][0], self.untrained[key])
            for layer, p in family_wise(chances).items():
                numbers[f"{kind}_p/{role}/{layer}"] = p
        return numbers

    @property
    def roles(self) -> list[str]:
        """The two networks."""
        return [*dict.fromkeys(role for _, role, _ in self.probes)]

    @property
    def networks(self) -> int:
        """How many untrained ones each is held against."""
        return len(next(iter(self.untrained.values())))


@dataclass(frozen=True, kw_only=True)
class Probes(Question[ProbesAnswer]):
    """How well can the labels be read out of each layer, beside random labels?"""

    title = "Probes"
    needs = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> ProbesAnswer:
        """Linear probes and probes of one hidden layer, at every layer of sender and receiver.

        Raises:
            NotAskable: if all examples have one label.
        """
        subject.expect([self])
        train, val = subject.train, subject.val
        if (train.labels == train.labels[:1]).all():
            raise NotAskable("all training examples have one label; a probe needs two or more")
        trained = subject.sender, subject.receiver
        twins = {one.role: subject.twins(one) for one in trained}
        once = {twin.role: twin for twin in chain(*twins.values())}
        jobs = [
            (kind, network, pair)
            for kind in _KINDS
            for network in (*trained, *once.values())
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
        layers = tuple(map(subject.label, subject.pairs))
        places = [*product(_KINDS, twins, layers)]
        carried = {subject.label(pair): _both_parts(subject, pair) for pair in subject.pairs}
        labels = train.labels, val.labels
        return ProbesAnswer(
            {place: probes[place] for place in places},
            {
                (kind, role, layer): [
                    probes[kind, twin.role, layer]["accuracy"][0] for twin in twins[role]
                ]
                for kind, role, layer in places
            },
            {name: carry_probe(*both, labels, seeds) for name, both in carried.items()},
            {name: carry_directions(*both, labels) for name, both in carried.items()},
            layers,
            (len(train), len(val)),
            most_frequent(val.labels),
        )

    def show(self, answer: ProbesAnswer) -> Section:
        """Accuracy and selectivity by depth, and a table of everything."""
        probes, layers = answer.probes, answer.layers
        pictures = []
        for kind in _KINDS:
            lines = {
                role: [probes[kind, role, layer]["accuracy"] for layer in layers]
                for role in answer.roles
            }
            for role in answer.roles:
                lines[f"untrained {role}"] = [
                    mean_and_spread(answer.untrained[kind, role, layer]) for layer in layers
                ]
            pictures.append(_picture(answer, kind, lines))
        selectivities = {
            f"{kind}, {role}": [probes[kind, role, layer]["selectivity"] for layer in layers]
            for kind in _KINDS
            for role in answer.roles
        }
        carried, directions = _carried(answer), _directions(answer)
        rows = []
        for layer, role, kind in product(layers, answer.roles, _KINDS):
            row = [layer, role, kind, *_cells(probes[kind, role, layer])]
            mean, spread = mean_and_spread(answer.untrained[kind, role, layer])
            untrained = f"{mean:.3f} ± {short_number(spread, '.3f')}"
            p = short_number(answer.numbers[f"{kind}_p/{role}/{layer}"], ".3f")
            rows.append([*row, untrained, p])
        header = ["layer", "network", "probe", "accuracy", "control", "control, held out"]
        header += ["selectivity", "untrained", "p"]
        blocks: tuple[str | Picture, ...] = (
            _about(answer),
            *pictures,
            _picture(answer, "selectivity", selectivities),
            replace(
                _picture(answer, "carried", carried),
                csv=carried_csv(layers, carried, directions),
            ),
            _picture(answer, "directions", directions),
            carried_table(layers, carried, directions),
            "Every probe on its own network:",
            markdown_table(rows, header, right=header[3:]),
        )
        return Section(
            self.title, blocks, by_layer(_SUMMARY, answer.numbers, layers, _LINES, _FINDINGS)
        )


def _both_parts(subject: Subject, pair: Pair) -> tuple[Parts, Parts]:
    """Training and held-out examples of sender and of receiver."""
    one, other = (
        (subject.rows("train", network, pair), subject.rows("val", network, pair))
        for network in (subject.sender, subject.receiver)
    )
    return one, other


def _carried(answer: ProbesAnswer) -> dict[str, list[Mean]]:
    """The receiver's own linear probe, and the sender's in every way that it is carried."""
    own = [answer.probes["linear", answer.roles[1], layer]["accuracy"] for layer in answer.layers]
    lines = {"receiver's own": own}
    for way, name in _WAYS.items():
        accuracies = [getattr(answer.carried[layer], way) for layer in answer.layers]
        if any(accuracies):
            lines[name] = [mean_and_margin(one or [math.nan]) for one in accuracies]
    return lines


def _directions(answer: ProbesAnswer) -> dict[str, list[Mean]]:
    """The receiver's own class directions, and the sender's in every way."""
    names = {"own": "receiver's own", **_WAYS}
    return {
        name: [(answer.directions[layer].get(way, math.nan), 0.0) for layer in answer.layers]
        for way, name in names.items()
        if any(way in ways for ways in answer.directions.values())
    }


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
        y_label=_Y_LABELS.get(name, "held-out accuracy"),
        margins={line: [margin for _, margin in points] for line, points in lines.items()},
        ticks=answer.layers,
        controls=[f"untrained {role}" for role in answer.roles] + [_WAYS["raw"]],
    )
    caption = _CAPTIONS[name].format(hidden=_HIDDEN, networks=answer.networks)
    return Picture(name, figure, caption)


def _cells(probe: Mapping[str, Mean]) -> list[str]:
    means = (probe[name] for name in ("accuracy", *_CONTROLS))
    return [f"{mean:.3f} ± {margin:.3f}" for mean, margin in means]


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
        f"- *untrained*: {counted(answer.networks, 'network')} of the same kinds with random "
        "weights, BatchNorm's statistics counted on training images, probed alike: what the images "
        "themselves give away; mean ± standard deviation over networks;\n"
        "- *p*: how often one more untrained network would be read as well (Crawford & Howell "
        "1998), of all layers of a network and a probe together (Holm 1979).\n\n"
        "A linear probe of the sender is also *carried* to the receiver (Chen et al. 2025, "
        "https://arxiv.org/abs/2506.06609), and so are its class directions, by maps of pooled "
        "representations that are solved on the training images without labels.\n\n"
        "Other cells are mean ± half a 95 % confidence interval over seeds (Student's t). It spans "
        "other training images, random labels and starts of the hidden layer, not other held-out "
        "images."
    )
