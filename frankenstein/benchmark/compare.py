"""What every measure, stitch and control says of the networks of a test; larger is more alike."""

import warnings
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from frankenstein.benchmark.grounded.grounded import Compared, Grounded
from frankenstein.benchmark.readings import Named, Readings
from frankenstein.benchmark.statistics import Array
from frankenstein.benchmark.stitched import STITCHES, stitch_values
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities, agreement, jensen_shannon
from frankenstein.measures.undefined import UndefinedSimilarityWarning

RANDOM, ORACLE = "random_numbers", "similarity_of_answers"
CONTROLS = (RANDOM, ORACLE)


def rows_of(measures: Sequence[str]) -> list[str]:
    """What takes part, in order: the measures, stitches and controls."""
    return [*measures, *STITCHES, *CONTROLS]


def compared(readings: Readings, test: Grounded, measures: Sequence[str], name: str) -> Compared:
    """All values of a test."""
    names, groups = tuple(readings.rows), tuple(readings.groups.values())
    held = {one: rows.held for one, rows in readings.rows.items()}
    count, more = len(names), None
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    logits = list(readings.logits.values())
    divergence = _pairs(logits, lambda x, y: jensen_shannon(x, y).mean())
    disagreement = _pairs(logits, lambda x, y: 1 - agreement(x, y).double().mean())
    right = [(z.argmax(1) == readings.labels).double().mean() for z in logits]
    if test.layers:
        more = np.stack(
            [_of_layers(readings, layers, measures, draw) for layers in readings.layers.values()], 1
        )
        values = np.full((len(rows_of(measures)), count, count), np.nan)
        return Compared(groups, np.array(right), disagreement, divergence, values, more)
    values = np.concatenate(
        [
            between(held, measures, readings.inputs, readings.labels),
            stitch_values(readings, readings.rows).numpy(),
            _symmetric(draw.random((1, count, count))),
            -divergence[None],
        ]
    )
    if test.more is not None:
        others = test.more(readings)
        own = [
            between(
                {"own": held[one], "other": others.rows[one].held}, measures, *_beside(readings)
            )
            for one in names
        ]
        stitched = stitch_values(readings, others.rows).numpy()
        nothing = np.full((1, count), np.nan)
        more = np.concatenate(
            [
                np.stack([each[:, 0, 1] for each in own], 1),
                stitched.diagonal(axis1=1, axis2=2),
                draw.random((1, count)),
                nothing,
            ]
        )
    return Compared(groups, np.array(right), disagreement, divergence, _symmetric(values), more)


def between(
    layers: Named, measures: Sequence[str], inputs: Tensor, labels: Tensor, one_grid: bool = True
) -> Array:  # (M, K, K), NaN of a representation with itself
    """Every measure of every two representations, larger for more alike, mean of both directions.

    The first of each pair is summed with all that follow it, so that no more than one row of pairs
    is in memory.
    """
    names = [*layers]
    values = np.full((len(measures), len(names), len(names)), np.nan)
    for i, name in enumerate(names[:-1]):
        rest = {one: layers[one] for one in names[i + 1 :]}
        first = {name: layers[name]}
        there = _measured(measures, first, rest, inputs, labels, one_grid)
        oneway = [one for one in measures if not MEASURES[one].symmetric]
        back = _measured(oneway, rest, first, inputs, labels, one_grid) if oneway else {}
        for m, measure in enumerate(measures):
            found = there[measure][0].numpy()
            if measure in back:
                found = (found + back[measure][:, 0].numpy()) / 2
            values[m, i, i + 1 :] = values[m, i + 1 :, i] = _sign(measure) * found
    return values


def _measured(
    measures: Sequence[str],
    xs: Named,
    ys: Named,
    inputs: Tensor,
    labels: Tensor,
    one_grid: bool,
) -> dict[str, Tensor]:
    n = len(labels)
    similar = LayerSimilarities(measures, block=max(4, n), limit=n, one_grid=one_grid)
    similar.update(xs, ys, inputs if similar.needs_inputs else None, labels)
    with warnings.catch_warnings():  # the page tells of them, once for all pairs
        warnings.simplefilter("ignore", UndefinedSimilarityWarning)
        return similar.values()


def _of_layers(
    readings: Readings, layers: Named, measures: Sequence[str], draw: np.random.Generator
) -> Array:  # (M, L, L)
    values = between(layers, measures, *_beside(readings), one_grid=False)
    count = len(layers)
    unknown = np.full((len(STITCHES), count, count), np.nan)
    random = _symmetric(draw.random((1, count, count)))
    return np.concatenate([values, unknown, random, unknown[:1]])


def _beside(readings: Readings) -> tuple[Tensor, Tensor]:
    return readings.inputs, readings.labels


def _sign(measure: str) -> float:
    """-1 of a distance, whose perfect value is its least."""
    row = MEASURES[measure]
    return -1.0 if row.perfect == row.range[0] else 1.0


def _symmetric(values: Array) -> Array:
    return (values + values.swapaxes(-1, -2)) / 2


def _pairs(logits: Sequence[Tensor], of: Callable[[Tensor, Tensor], Tensor]) -> Array:
    found = np.zeros((len(logits), len(logits)))
    for i, x in enumerate(logits):
        for j, y in enumerate(logits[:i]):
            found[i, j] = found[j, i] = float(of(x, y))
    return found
