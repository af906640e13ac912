"""What every measure, stitch and control says of the networks of a test; larger is more alike."""

import warnings
import zlib
from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from frankenstein.benchmark.grounded.grounded import Compared, Grounded
from frankenstein.benchmark.readings import Named, Readings
from frankenstein.benchmark.statistics import Array
from frankenstein.benchmark.stitched import stitch_values, stitches_of
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities, agreement, jensen_shannon
from frankenstein.measures.undefined import UndefinedSimilarityWarning

RANDOM, ORACLE = "random_numbers", "similarity_of_answers"
CONTROLS = (RANDOM, ORACLE)


def rows_of(measures: Sequence[str], later: Sequence[str] = ()) -> list[str]:
    """What takes part, in order: the measures, stitches and controls."""
    return [*measures, *stitches_of(later), *CONTROLS]


def compared(readings: Readings, test: Grounded, measures: Sequence[str], name: str) -> Compared:
    """All values of a test; what measures say of two networks is kept in `readings.pairs`."""
    count, beside = len(readings.rows), (readings.inputs, readings.labels)
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    logits = list(readings.logits.values())
    divergence = _pairs(logits, lambda x, y: jensen_shannon(x, y).mean())
    disagreement = _pairs(logits, lambda x, y: 1 - agreement(x, y).double().mean())
    right = [(z.argmax(1) == readings.labels).double().mean() for z in logits]
    rows = rows_of(measures, readings.later)
    values, more = np.full((len(rows), count, count), np.nan), None
    if test.layers:
        every = [
            between(one, measures, *beside, one_grid=False) for one in readings.layers.values()
        ]
        more = np.stack(
            [_with_random(one, len(stitches_of(readings.later)), draw) for one in every], 1
        )
    else:
        held = {one: rows.held for one, rows in readings.rows.items()}
        values = np.concatenate(
            [
                between(held, measures, *beside, known=readings.pairs),
                stitch_values(readings, readings.rows).numpy(),
                _symmetric(draw.random((1, count, count))),
                -divergence[None],
            ]
        )
    if test.more is not None:
        others = test.more(readings).rows
        own = [
            between({"own": z, "other": others[one].held}, measures, *beside)[:, 0, 1]
            for one, z in held.items()
        ]
        stitched = stitch_values(readings, others).numpy().diagonal(axis1=1, axis2=2)
        nothing = np.full((1, count), np.nan)
        more = np.concatenate([np.stack(own, 1), stitched, draw.random((1, count)), nothing])
    groups = tuple(readings.groups.values())
    return Compared(groups, np.array(right), disagreement, divergence, _symmetric(values), more)


def between(
    layers: Named,
    measures: Sequence[str],
    inputs: Tensor,
    labels: Tensor,
    one_grid: bool = True,
    known: dict[tuple[str, str], Array] | None = None,
) -> Array:  # (M, K, K), NaN of a representation with itself
    """Every measure of every two representations, larger for more alike, mean of both directions.

    The first of each pair is summed with all that follow it, so that no more than one row of pairs
    is in memory. What is in `known` is taken from there, and what is not is added to it.
    """
    known = {} if known is None else known
    names = [*layers]
    values = np.full((len(measures), len(names), len(names)), np.nan)
    oneway = [one for one in measures if not MEASURES[one].symmetric]
    sign = np.array([_sign(one) for one in measures])
    for i, name in enumerate(names[:-1]):
        rest = {one: layers[one] for one in names[i + 1 :] if (name, one) not in known}
        if rest:
            first = {name: layers[name]}
            found = _measured(measures, first, rest, inputs, labels, one_grid)
            back = _measured(oneway, rest, first, inputs, labels, one_grid) if oneway else {}
            both = [
                (found[one][0] + back[one][:, 0]) / 2 if one in back else found[one][0]
                for one in measures
            ]
            known |= {(name, one): sign * z for one, z in zip(rest, np.stack(both, 1), strict=True)}
        for j, other in enumerate(names[i + 1 :], i + 1):
            values[:, i, j] = values[:, j, i] = known[name, other]
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


def _with_random(values: Array, stitches: int, draw: np.random.Generator) -> Array:
    """Beside measures of layers (M, L, L): stitches and answers, unknown, and random numbers."""
    count = values.shape[-1]
    unknown = np.full((stitches + 1, count, count), np.nan)
    random = _symmetric(draw.random((1, count, count)))
    return np.concatenate([values, unknown[1:], random, unknown[:1]])


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
