"""What a report says of raw and sorted activations."""

import math

from matplotlib.figure import Figure

from frankenstein.questions.units.answer import UnitsAnswer
from frankenstein.questions.units.raw_and_sorted import KINDS
from frankenstein.report import Picture, Section, bars, by_layer, markdown_table

_CONTROLS = {
    "units_shuffled": "the receiver's units in another order, mean ± standard deviation over "
    "{orders} orders: a raw number within it is what a chance order gives; sorted ones do not "
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
    *(
        (f"  {name.replace('_', ' ')}", f"sorted_pearson/{name}/{{}}", ".3f")
        for name in ("values_shuffled", "other_images", "untrained")
    ),
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


def units_section(title: str, answer: UnitsAnswer) -> Section:
    """Figures and a table of all layers."""
    rows = []
    for layer, values in answer.layers.items():
        for name, of_kind in values.items():
            row = [layer, name.replace("_", " ")]
            rows.append([*row, *(_cell(*of_kind[kind]) for kind in KINDS)])
        excess = (answer.numbers[f"{kind}_excess/{layer}"] for kind in KINDS)
        rows.append([layer, "**excess**", *map(_cell, excess)])
    kinds = [kind.replace("_", " ") for kind in KINDS]
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        *(Picture(kind, _figure(answer, kind), text) for kind, text in _CAPTIONS.items()),
        markdown_table(rows, ["layer", "", *kinds], right=kinds),
    )
    return Section(
        title, blocks, short=by_layer(_SUMMARY, answer.numbers, [*answer.layers], _LINES)
    )


def _figure(answer: UnitsAnswer, kind: str) -> Figure:
    groups = {
        layer: {name.replace("_", " "): of_kind[kind][0] for name, of_kind in values.items()}
        for layer, values in answer.layers.items()
    }
    return bars(groups, kind.replace("_", " "), "mean over images", percent=False)


def _about(answer: UnitsAnswer) -> str:
    controls = "\n".join(
        f"- *{name.replace('_', ' ')}*: {about.format(orders=answer.orders)}"
        for name, about in _CONTROLS.items()
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
