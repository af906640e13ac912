"""What a report of many runs draws of a sweep: scores over layers, or over a number such as a rank.

layers bn1, bn3, bn5 x ranks 2, 8 x three seeds   ->   a line for each rank, over the layers
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from posixpath import commonpath
from typing import Any, NamedTuple

import torch

from frankenstein.catalog import ARCHITECTURES, filled
from frankenstein.report import Picture, curves
from frankenstein.studies.finished import FinishedRun, said_of
from frankenstein.surgery.record import record
from frankenstein.zoo import build_network

_LAYERS = ("sender_layer", "receiver_layer")
_CONTROLS = ("untrained", "untrained_ps_inv", "identity")  # of stitches


class Sweep(NamedTuple):
    """Where each group of runs stands on the axis, and on which line."""

    axis: str
    ticks: Sequence[str]  # what x = 0, 1, ... are called; none where x is a number
    places: Mapping[str, tuple[float, str]]  # group: x, name of the line


def find_sweep(groups: Mapping[str, Sequence[FinishedRun]]) -> Sweep | None:
    """The sweep that groups of runs are, over layers if these vary; None if they are none."""
    asked = _of_both({group: runs[0].asked for group, runs in groups.items()})
    varying = {
        key: {name: one.get(key) for name, one in asked.items()}
        for key in dict.fromkeys(key for one in asked.values() for key in one)
        if len({repr(one.get(key)) for one in asked.values()}) > 1
    }
    labels = {name: _layers(one) for name, one in asked.items()}
    if all(labels.values()) and len(set(labels.values())) > 1:
        runs = [found[0] for found in groups.values()]
        ticks = sorted(dict.fromkeys(labels.values()), key=_depths(runs).__getitem__)
        xs: dict[str, float] = {name: ticks.index(label) for name, label in labels.items()}
        axis, gone = "layer", set(_LAYERS)
    else:
        numbers = [key for key, values in varying.items() if all(map(_is_number, values.values()))]
        if not numbers:
            return None
        axis = max(numbers, key=lambda key: len(set(varying[key].values())))
        ticks, gone, xs = [], {axis}, {name: float(one[axis]) for name, one in asked.items()}
    others = {name: {k: v[name] for k, v in varying.items() if k not in gone} for name in asked}
    lines = {name: said_of(said) if said else "" for name, said in others.items()}
    if len(set(lines.values())) == len(lines):
        return None  # every line would be a point
    return Sweep(axis, ticks, {name: (xs[name], lines[name]) for name in asked})


def _of_both(asked: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What sender and receiver have alike in every group said once, a width as a number."""
    said = {group: dict(one) for group, one in asked.items()}
    senders = dict.fromkeys(
        key for one in said.values() for key in one if key.startswith("sender ")
    )
    for what in (key.removeprefix("sender ") for key in senders):
        both = [(one.get(f"sender {what}"), one.get(f"receiver {what}")) for one in said.values()]
        if any(one != other for one, other in both):
            continue
        name, values = f"networks' {what}", [one for one, _ in both]
        for pattern in ARCHITECTURES if what == "architecture" else ():
            widths = [(filled(pattern, str(value)) or {}).get("k") for value in values]
            if None not in widths and len(set(widths)) > 1:
                name, values = f"width k of {pattern.removesuffix('_w<k>')}", widths
        for one, value in zip(said.values(), values, strict=True):
            del one[f"sender {what}"], one[f"receiver {what}"]
            one[name] = value
    return said


def sweep_pictures(
    sweep: Sweep,
    means: Mapping[str, Mapping[str, tuple[float, float]]],  # score: {group: mean and margin}
) -> Iterator[Picture]:
    """A figure for each measure: a line for each score of it, and for each line of the sweep."""
    measures = dict.fromkeys(score.partition("/")[0] for score in means)
    for measure in measures:
        points: dict[str, list[tuple[float, float, float]]] = {}
        controls = set()
        drawn = [score for score in means if score.partition("/")[0] == measure]
        start = commonpath([score.rpartition("/")[0] for score in drawn]) or measure
        for score, found in means.items():
            if score not in drawn:
                continue
            rest = score.removeprefix(start).removeprefix("/")
            for group, (mean, margin) in found.items():
                x, line = sweep.places[group]
                name = ", ".join(filter(None, (rest.replace("_", " "), line))) or start
                points.setdefault(name, []).append((x, mean, margin))
                controls |= {name} if rest in _CONTROLS else set()
        lines = {name: list(zip(*sorted(found), strict=True)) for name, found in points.items()}
        figure = curves(
            {name: (xs, ys) for name, (xs, ys, _) in lines.items()},
            x_label=sweep.axis.replace("_", " "),
            y_label=start.replace("_", " "),
            margins={name: found[2] for name, found in lines.items()},
            ticks=sweep.ticks,
            controls=controls,
        )
        said = (
            "in the order of the network or, of one not of the zoo, by name, "
            if sweep.ticks
            else ""
        )
        yield Picture(
            f"sweep-{measure}",
            figure,
            f"`{start}` over the {sweep.axis.replace('_', ' ')}, {said}mean of each group of "
            "runs. Bands are 95 % intervals over seeds, where there are several; grey dashes are "
            "controls.",
        )


def _layers(asked: Mapping[str, Any]) -> str:
    one, other = (asked.get(key) for key in _LAYERS)
    return f"{one} → {other}" if one != other else one or ""


def _depths(runs: Sequence[FinishedRun]) -> dict[str, tuple[int, int]]:
    """Where each pair of layers lies in its networks; by name in those that are not of the zoo."""
    known: dict[str, list[str]] = {}

    def place(run: FinishedRun, side: str) -> int:
        card, layer = run.cards.get(side), run.asked[f"{side}_layer"]
        if card is None:  # of a run of runs: in the order given
            return 0
        name = card["architecture"]
        if not any(filled(pattern, name) is not None for pattern in ARCHITECTURES):
            named = {one.asked.get(key) or "" for one in runs for key in _LAYERS}
            known[name] = sorted(named, key=_by_name)
        if name not in known:
            with torch.device("meta"):  # its names alone are wanted, whatever its size
                network = build_network(
                    name, card["num_classes"], card["in_channels"], 0, card["image_size"]
                )
            known[name] = [*record(network).names.values()]
        return known[name].index(layer) if layer in known[name] else len(known[name])

    return {_layers(run.asked): (place(run, "sender"), place(run, "receiver")) for run in runs}


def _by_name(layer: str) -> list[str]:
    """Words as words and numbers as numbers: blocks.2 is before blocks.10."""
    parts = re.split(r"(\d+)", layer)
    return [part.zfill(18) if i % 2 else part for i, part in enumerate(parts)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
