"""What a report of many runs draws of a sweep: scores over layers, or over a number such as a rank.

layers bn1, bn3, bn5 x ranks 2, 8 x three seeds   ->   a line for each rank, over the layers
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from math import isclose, isfinite
from posixpath import commonpath
from typing import Any, NamedTuple

import torch

from frankenstein.catalog import ARCHITECTURES, MEASURES, filled
from frankenstein.report import Picture
from frankenstein.report.bands import Band, bands, bands_csv
from frankenstein.stitching.score_table import is_share, score_title
from frankenstein.studies.finished import FinishedRun, said_of
from frankenstein.studies.means import Mean
from frankenstein.surgery.record import record
from frankenstein.zoo import build_network

_LAYERS = ("sender_layer", "receiver_layer")
_OWN = ("receiver", "sender")  # rows of whole networks
_ROWS = {  # of stitches, in words
    "after": "",
    "ps_inv": "least squares",
    "solved": "closed form",
    "untrained": "untrained sender",
    "untrained_ps_inv": "untrained sender, least squares",
    "identity": "no map",
}
_CONTROLS = ("untrained", "untrained_ps_inv", "identity")
_LINES = 12  # that a figure can tell apart
_SAME = 1e-9  # of two means that rounding alone tells apart


class Sweep(NamedTuple):
    """Where each group of runs stands on the axis, and on which line."""

    axis: str
    ticks: Sequence[str]  # what x = 0, 1, ... are called; none where x is a number
    places: Mapping[str, tuple[float, str]]  # group: x, name of the line
    ordered: bool = True  # whether one x follows another, as depths of a network do


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
        depths = _depths(runs)
        ticks = sorted(dict.fromkeys(labels.values()), key=depths.__getitem__)
        ordered = _is_one_walk([[one.asked[key] for key in _LAYERS] for one in runs], depths)
        xs: dict[str, float] = {name: ticks.index(label) for name, label in labels.items()}
        axis, gone = "layer", set(_LAYERS)
    else:
        ordered = True
        numbers = [key for key, values in varying.items() if all(map(_is_number, values.values()))]
        if not numbers:
            return None
        axis = max(numbers, key=lambda key: len(set(varying[key].values())))
        ticks, gone, xs = [], {axis}, {name: float(one[axis]) for name, one in asked.items()}
    others = {name: {k: v[name] for k, v in varying.items() if k not in gone} for name in asked}
    lines = {name: said_of(said) if said else "" for name, said in others.items()}
    if not len(set(lines.values())) <= min(_LINES, len(lines) - 1):
        return None  # every line would be a point, or they are too many to be told apart
    return Sweep(axis, ticks, {name: (xs[name], lines[name]) for name in asked}, ordered)


def _is_one_walk(
    pairs: Sequence[Sequence[str]],  # of a sender's and a receiver's layer
    depths: Mapping[str, tuple[int, int]],
) -> bool:
    """Whether pairs of layers are depths of one thing: bn3 beside bn7 → bn5 is none."""
    senders, receivers = (set(side) for side in zip(*pairs, strict=True))
    alike = {one == other for one, other in pairs}
    deeper = sorted(depths.values())
    walks = all(one[1] <= other[1] for one, other in pairwise(deeper))
    return len(senders) == 1 or len(receivers) == 1 or (len(alike) == 1 and walks)


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
    means: Mapping[str, Mapping[str, Mean]],  # score: {group: its mean}
) -> Iterator[Picture]:
    """A figure for each measure: a line for each score of it, and for each line of the sweep.

    What is the same line as an earlier one is drawn once, and a network's own score that is the
    same everywhere is one thin line.
    """
    for measure in dict.fromkeys(score.partition("/")[0] for score in means):
        drawn = [score for score in means if score.partition("/")[0] == measure]
        start = commonpath([score.rpartition("/")[0] for score in drawn]) or measure
        points = {
            score.removeprefix(start).removeprefix("/"): _by_line(sweep, means[score])
            for score in drawn
        }
        own = {row: line for row in _OWN if (line := _same_everywhere(points.get(row, {})))}
        lines = _lines({row: lines for row, lines in points.items() if row not in own})
        over = [mean for row in points.values() for line in row.values() for _, mean in line]
        words = dict.fromkeys(mean.words for mean in over if mean.n > 1)
        note = " or ".join(words)
        axis = sweep.axis.replace("_", " ")
        figure = bands(
            lines,
            {row: line[0][1].value for row, line in own.items()},
            x_label=axis,
            y_label=_label(start, points),
            ticks=sweep.ticks,
            percent=is_share(drawn[0]),
            note=f"n = {note}" if note else "",
            ordered=sweep.ordered,
        )
        lines |= {row: _band(line) for row, line in own.items()}
        yield Picture(
            f"sweep-{measure}",
            figure,
            _caption(start, sweep, note, over),
            csv=bands_csv(lines, axis, sweep.ticks),
        )


def _by_line(sweep: Sweep, means: Mapping[str, Mean]) -> dict[str, list[tuple[float, Mean]]]:
    """The points of a score from left to right, by the name of the line."""
    points: dict[str, list[tuple[float, Mean]]] = {}
    for group, mean in means.items():
        x, line = sweep.places[group]
        points.setdefault(line, []).append((x, mean))
    return {line: sorted(found, key=lambda one: one[0]) for line, found in points.items()}


def _same_everywhere(
    lines: Mapping[str, Sequence[tuple[float, Mean]]],
) -> Sequence[tuple[float, Mean]]:
    """The first of the lines if all of them are one height; nothing else."""
    heights = [mean.value for line in lines.values() for _, mean in line]
    same = len(heights) > 1 and all(isclose(one, heights[0], rel_tol=_SAME) for one in heights)
    return next(iter(lines.values())) if same else ()


def _lines(
    points: Mapping[str, Mapping[str, Sequence[tuple[float, Mean]]]],  # by row and line
) -> dict[str, Band]:
    """A series for each row and line: lines have a colour each, and rows their dashes."""
    names = [*dict.fromkeys(line for lines in points.values() for line in lines)]
    free = {row: i for i, row in enumerate(row for row in points if row not in _CONTROLS)}
    series: dict[str, Band] = {}
    for row, lines in points.items():
        alike = len(names) > 1 and _are_one(lines, names)  # then it is of none of them
        told = {"": next(iter(lines.values()))} if alike else lines
        for line, found in told.items():
            colour = names.index(line) if line in names else len(names) + len(series)
            dashes = free.get(row, 0)
            if row in _CONTROLS:
                dashes = 1
            elif len(names) == 1:
                colour, dashes = free[row], 0
            else:
                dashes += dashes > 0  # the second dashes are those of controls
            band = _band(found, colour, dashes)
            if any(_equal(band, other) for other in series.values()):
                continue
            parts = line.removeprefix("family "), _ROWS.get(row, row)
            series[", ".join(filter(None, parts)).replace("_", " ") or "stitch"] = band
    return series


def _are_one(lines: Mapping[str, Sequence[tuple[float, Mean]]], names: Collection[str]) -> bool:
    """Whether every line of the sweep is there, and all are the same."""
    first, *others = map(_band, lines.values())
    return len(lines) == len(names) and all(_equal(first, other) for other in others)


def _band(found: Sequence[tuple[float, Mean]], colour: int = 0, dashes: int = 0) -> Band:
    xs, means = zip(*found, strict=True)
    return Band(
        xs,
        [mean.value for mean in means],
        [mean.low for mean in means],
        [mean.high for mean in means],
        [mean.n for mean in means],
        colour,
        dashes,
    )


def _equal(one: Band, other: Band) -> bool:
    pairs = zip(one.mean, other.mean, strict=False)
    return [*one.x] == [*other.x] and all(isclose(a, b, rel_tol=_SAME) for a, b in pairs)


def _label(score: str, rows: Collection[str]) -> str:
    """The name of an axis; of a measure of stitched with target, how it flattens them."""
    of_stitches = any(row in _ROWS for row in rows)
    words = score_title(score) if of_stitches else score.replace("_", " ")
    if score in MEASURES and of_stitches:
        return f"{words} ({MEASURES[score].flattenings[0]})"
    return words


def _caption(start: str, sweep: Sweep, note: str, means: Sequence[Mean]) -> str:
    order = (
        ", in the order of the network or, of one not of the zoo, by name"
        if sweep.ticks and sweep.ordered
        else ""
    )
    said = f"`{start}` over the {sweep.axis.replace('_', ' ')}{order}: mean of each group of runs"
    said += f", n = {note}. " if note else ". "
    if any(isfinite(mean.margin) for mean in means):
        said += f"{'Bands' if sweep.ordered else 'Bars'} are 95 % intervals"
        if any(mean.networks and mean.n > 1 for mean in means):
            said += (
                "; where a network is in several runs, those of leaving out one network at a time"
            )
        said += ". "
    controls = "Long dashes are controls" if sweep.ordered else "Crosses are controls"
    return f"{said}{controls}; what is equal is drawn once."


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
