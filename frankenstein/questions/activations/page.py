"""What a report says of the activations of every layer."""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

from frankenstein.intervals import mean_and_spread
from frankenstein.questions.activations.facts import (
    BY_CHANCE,
    PLAIN,
    ActivationFacts,
    ActivationsAnswer,
    LayerAnswer,
    TopImages,
    spreads_of,
)
from frankenstein.report import (
    Picture,
    Section,
    Short,
    by_layer,
    curves,
    format_value,
    markdown_table,
    short_number,
)
from frankenstein.report.image_grid import image_grid
from frankenstein.report.panels import histogram_line, line_panels

_BINS_A_STEP = 4  # of the histogram, in a figure
_UNTRAINED = "untrained"  # what figures call networks of the sender's kind that are
_SHARES = ("dead", "saturated_values", "saturated_units", "zeros")
TABLE = (  # of a layer's numbers
    *("dead", "saturated values", "saturated units", "zeros", "rms", "sparseness"),
    *("selectivity", "class variance", "dimension"),
)
_SUMMARY = (
    "Share of the units' variance between classes; effective dimension, 1 where all units go "
    "together; units that never change. p: how often an untrained network is as far out, anywhere."
)
_FINDINGS = (
    "At {layer} {0} of the variance of the sender's units lies between classes, {2} of the "
    "receiver's, and {4} in untrained networks.",
    "At {layer} the effective dimension is {7} in the sender, {9} in the receiver and {11} in "
    "untrained networks.",
)
_LINES = (  # number, its title, and how it is written
    ("class_variance", "between classes", "%"),
    ("dimension", "dimension", ".1f"),
    ("dead", "dead units", "%"),
)
_CAPTIONS = {
    "distributions": "Distribution of the activations of every layer. Density over value, each "
    "network in units of its own root mean square, of all units, held-out images and places, "
    "without what is exactly 0 (its share is in the table) and without the outermost thousandths. "
    "Dashes are one network that has learned nothing: where the lines agree with it, the shape "
    "comes from the architecture.",
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
_TOP = (
    "Images that activate units of the sender's {one} most, beside those of their partners in the "
    "receiver's {other}. Each row: the {images} held-out images of the largest value over places "
    "of a unit of the sender (left) and of its partner (right). Pairs are the one-to-one matching "
    "of largest total correlation over images, shown from the most to the least alike at even "
    "distances; r is a pair's correlation, its mean over all pairs {mean:.2f}, and {control:.2f} "
    "in untrained networks that were matched likewise ({pairs} pairs, standard deviation {spread}; "
    "p, of all layers together, {chance}). Rows that show the same kind of picture on "
    "both sides are units that look for the same."
)


def activations_section(title: str, answer: ActivationsAnswer) -> Section:
    """Every layer of every network, untrained ones beside them."""
    blocks: list[str | Picture] = [
        _about(answer.images, len(next(iter(answer.untrained[0].values())))),
        Picture("distributions", _distributions(answer), _CAPTIONS["distributions"]),
        _table(answer),
    ]
    for name in BY_CHANCE:
        shown = [one for layers in answer.layers for one in layers.values()]
        if any(not math.isnan(one.by_chance[name][0]) for one in shown):
            blocks.append(Picture(name, _by_depth(answer, name), _CAPTIONS[name]))
    tops = zip(answer.pairs, answer.labels, answer.top, answer.top_chances, strict=True)
    blocks += [
        _top_images(pair, label, top, top.images, chance)
        for pair, label, top, chance in tops
        if top.images is not None
    ]
    return Section(title, tuple(blocks), short=_short(answer))


def _short(answer: ActivationsAnswer) -> Short:
    """A network at a time, by pairs of layers."""
    numbers = {
        f"{name}/{role}/{label}": value
        for label, layers in zip(answer.labels, answer.layers, strict=True)
        for role, one in layers.items()
        for name, value in one.numbers.items()
    }
    sender, receiver = answer.untrained[0]
    for label, layers, untrained in zip(
        answer.labels, answer.layers, answer.untrained, strict=True
    ):
        for name, (mean, spread) in spreads_of(untrained[sender]).items():
            numbers |= {f"{name}/untrained/{label}": mean, f"{name}/spread/{label}": spread}
        for role, name in product((sender, receiver), BY_CHANCE):
            p = answer.numbers[f"{name}_p/{role}/{layers[role].layer}"]
            numbers[f"{name}_p/{role}/{label}"] = p
    lines = []
    for name, title, form in _LINES:
        for role in (sender, receiver):
            lines.append((f"{title}, {role}", f"{name}/{role}/{{}}", form))
            lines.append(("  p", f"{name}_p/{role}/{{}}", ".3f"))
        lines.append(("  untrained", f"{name}/untrained/{{}}", form))
        lines.append(("    their spread", f"{name}/spread/{{}}", form))
        if name in BY_CHANCE:
            lines.append(("  shuffled", f"{name}_shuffled/{sender}/{{}}", form))
    return by_layer(_SUMMARY, numbers, answer.labels, lines, _FINDINGS)


def _table(answer: ActivationsAnswer) -> str:
    """Of each layer the networks, then the untrained ones and how far the others are from them."""
    rows: list[list[Any]] = []
    for layers, untrained in zip(answer.layers, answer.untrained, strict=True):
        rows += [[one.layer, one.role, *layer_cells(one)] for one in layers.values()]
        for role, twins in untrained.items():
            layer, blank = twins[0].layer, [""] * len(PLAIN)
            chances = (answer.numbers[f"{name}_p/{role}/{layer}"] for name in BY_CHANCE)
            p = [short_number(chance, ".3f") for chance in chances]
            rows += [[layer, f"untrained {role}", *_control_row(twins)]]
            rows += [[layer, f"p, {role}", *blank, *p]]
    header = ["layer", "network", *TABLE]
    return markdown_table(rows, header, right=header[2:])


def layer_cells(one: LayerAnswer) -> list[str]:
    """A layer's numbers as `TABLE` has them, chance in brackets."""
    plain = [format_value(one.numbers[name], percent=name in _SHARES) for name in PLAIN]
    chance = [_beside(one, name, ".3f") for name in ("selectivity", "class_variance")]
    return [*plain, *chance, f"{_beside(one, 'dimension', '.1f')} of {one.units}"]


def _control_row(twins: Sequence[LayerAnswer]) -> list[str]:
    """Mean ± standard deviation over untrained networks, chance in brackets likewise a mean."""
    spreads = spreads_of(twins)

    def cell(name: str, form: str) -> str:
        mean, spread = (short_number(value, form) for value in spreads[name])
        return f"{mean} ± {spread}"

    cells = [cell(name, "%" if name in _SHARES else ".3g") for name in PLAIN]
    for name, form in (("selectivity", ".3f"), ("class_variance", ".3f"), ("dimension", ".1f")):
        chance = short_number(spreads[f"{name}_shuffled"][0], form)
        cells.append(f"{cell(name, form)} ({chance})")
    return [*cells[:-1], f"{cells[-1]} of {twins[0].units}"]


def _beside(one: LayerAnswer, name: str, form: str) -> str:
    """A number with what chance leaves of it in brackets."""
    value, chance = one.by_chance[name]
    return f"{value:{form}} ({chance:{form}})".replace("nan", "n/a")


def _distributions(answer: ActivationsAnswer) -> Figure:
    panels = {}
    for label, layers, untrained in zip(
        answer.labels, answer.layers, answer.untrained, strict=True
    ):
        first = next(iter(untrained.values()))[0]
        drawn = {**layers, _UNTRAINED: first}
        panels[label] = {title: _line(one.facts) for title, one in drawn.items()}
    label = "activation over the root of the mean square"
    return line_panels(panels, label, "density", steps=True, controls=[_UNTRAINED])


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


def _by_depth(answer: ActivationsAnswer, name: str) -> Figure:
    """A line over the layers for each network, and one for what chance leaves of the sender's."""
    depth = [*range(1, len(answer.layers) + 1)]
    series = {
        role: (depth, [layers[role].by_chance[name][0] for layers in answer.layers])
        for role in answer.layers[0]
    }
    sender = next(iter(answer.untrained[0]))
    twins = [spreads_of(untrained[sender])[name] for untrained in answer.untrained]
    series[_UNTRAINED] = depth, [mean for mean, _ in twins]
    series["shuffled"] = depth, [layers[sender].by_chance[name][1] for layers in answer.layers]
    margins = {_UNTRAINED: [spread for _, spread in twins]}
    labels = "", "layer, from the first to the last", name.replace("_", " ")
    return curves(series, *labels, margins=margins, controls=[_UNTRAINED])


def _top_images(
    pair: tuple[str, str],
    label: str,
    top: TopImages,
    images: tuple[Tensor, Tensor],
    chance: float,
) -> Picture:
    names = [
        f"{i}, {j}: r {r:.2f}"
        for (i, j), r in zip(top.matched.T.tolist(), top.correlations.tolist(), strict=True)
    ]
    caption = _TOP.format(
        images=images[0].shape[1],
        one=pair[0],
        other=pair[1],
        mean=top.mean,
        pairs=len(top.untrained),
        control=mean_and_spread(top.untrained)[0],
        spread=short_number(mean_and_spread(top.untrained)[1], ".3f"),
        chance=short_number(chance, ".3f"),
    )
    grid = image_grid(dict(zip(("sender", "receiver"), images, strict=True)), names)
    return Picture(f"top-{label}", grid, caption)


def _about(examples: int, twins: int) -> str:
    return (
        f"Every number is over {examples} held-out images; *untrained* networks have the same "
        "architecture and random weights, and BatchNorm's statistics counted on training images "
        f"(mean ± standard deviation over {twins} of them). *Dead* units have one value for all "
        "images and places. "
        "*Saturated* are values within 2.5 % of the range of a bounded nonlinearity (tanh beyond "
        "±0.95), and units of which 95 % of the values are. *Zeros* are values of exactly 0. "
        "*Rms* is the root of the mean square of all values. *Sparseness* is that of Vinje & "
        "Gallant 2000: 0 if all of a unit's values are of one size, 1 if one alone is not 0. "
        "*Selectivity* is the index of Morcos et al. 2018, for layers that are never negative; "
        "*class variance* is the share of a unit's variance between classes (eta squared), of "
        "any sign. *Dimension* is the participation ratio of the covariance of units. The last "
        "three are of means over places, and behind each stands, in brackets, what chance leaves "
        "of it: with the labels shuffled, or each unit's values. *p* is how often one more "
        "untrained network would lie as far from the others, on either side (Crawford & Howell "
        "1998), of all layers of a network together (Holm 1979)."
    )
