"""How the sender's probe and class directions do on the receiver: a table and a CSV file."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence

from frankenstein.report import markdown_table, short_number

Points = Sequence[tuple[float, float]]  # a mean and its margin for each layer

_HEADER = ("layer", "way", "linear probe", "class directions")
_ABOUT = (
    "The last two figures in numbers: held-out accuracy of a linear probe, and area of class "
    "directions. The receiver's own stand first, then the sender's in each way that they are "
    "carried."
)


def carried_table(
    layers: Sequence[str],
    probes: Mapping[str, Points],  # by way: accuracies
    directions: Mapping[str, Points],  # likewise: areas, which have no margin
) -> str:
    """A row for each layer and way."""
    rows = [
        [layer, way, f"{_digits(accuracy)} ± {_digits(margin)}", _digits(area)]
        for layer, way, accuracy, margin, area in _rows(layers, probes, directions)
    ]
    return f"{_ABOUT}\n\n{markdown_table(rows, _HEADER, right=_HEADER[2:])}"


def carried_csv(
    layers: Sequence[str], probes: Mapping[str, Points], directions: Mapping[str, Points]
) -> str:
    """The same as `layer,way,accuracy,margin,area`, in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "way", "accuracy", "margin", "area"])
    writer.writerows(_rows(layers, probes, directions))
    return text.getvalue()


def _rows(
    layers: Sequence[str], probes: Mapping[str, Points], directions: Mapping[str, Points]
) -> Iterator[tuple[str, str, float, float, float]]:
    nothing = [(math.nan, math.nan)] * len(layers)
    for i, layer in enumerate(layers):
        for way in probes:
            area, _ = directions.get(way, nothing)[i]
            yield layer, way, *probes[way][i], area


def _digits(value: float) -> str:
    return short_number(value, ".3f")
