"""What a report says of probes."""

from collections.abc import Mapping

from frankenstein.questions.probes.answer import Mean, ProbesAnswer
from frankenstein.report import Picture, Section, by_layer, curves, markdown_table

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
_CELLS = {
    "accuracy": "accuracy",
    "control": "control",
    "control, held out": "control_held_out",
    "selectivity": "selectivity",
}
Lines = Mapping[str, list[Mean]]  # series: a mean and its margin for each layer


def probes_section(title: str, answer: ProbesAnswer) -> Section:
    """Figures by depth, and a table of everything."""
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        *(_picture(answer, kind, _accuracies(answer, kind)) for kind in answer.kinds),
        _picture(answer, "selectivity", _selectivities(answer)),
        _table(answer),
    )
    return Section(title, blocks, short=by_layer(_SUMMARY, answer.numbers, answer.layers, _LINES))


def _networks(answer: ProbesAnswer) -> dict[str, str]:
    """What figures call each network, by role."""
    untrained = {twin: f"untrained {role}" for role, twin in answer.twins.items()}
    return {**{role: role for role in answer.twins}, **untrained}


def _accuracies(answer: ProbesAnswer, kind: str) -> Lines:
    return {
        name: [answer.probes[kind, role, layer].accuracy for layer in answer.layers]
        for role, name in _networks(answer).items()
    }


def _selectivities(answer: ProbesAnswer) -> Lines:
    return {
        f"{kind}, {role}": [
            selectivity
            for layer in answer.layers
            if (selectivity := answer.probes[kind, role, layer].selectivity) is not None
        ]
        for kind in answer.kinds
        for role in answer.twins
    }


def _picture(answer: ProbesAnswer, name: str, lines: Lines) -> Picture:
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
    return Picture(name, figure, _CAPTIONS[name].format(hidden=answer.hidden))


def _table(answer: ProbesAnswer) -> str:
    rows = []
    for layer in answer.layers:
        for role, name in _networks(answer).items():
            for kind in answer.kinds:
                probe = answer.probes[kind, role, layer]
                cells = (_cell(getattr(probe, what)) for what in _CELLS.values())
                rows.append([layer, name, kind, *cells])
    return markdown_table(rows, ["layer", "network", "probe", *_CELLS], right=[*_CELLS])


def _cell(mean: Mean | None) -> str:
    return "" if mean is None else f"{mean[0]:.3f} ± {mean[1]:.3f}"


def _about(answer: ProbesAnswer) -> str:
    training, held_out = answer.examples
    return (
        f"Probes learn to tell the labels from pooled representations (means over places) of half "
        f"of {training} training images, another half for each of {answer.seeds} seeds, and are "
        f"scored on {held_out} held-out ones. Always answering the most frequent label is right "
        f"for {answer.most_frequent:.1%} of these. *Linear* is logistic regression of standardised "
        f"units, *hidden* has a layer of {answer.hidden} units before it.\n\n"
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
