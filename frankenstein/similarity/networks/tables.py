"""Tidy tables of a comparison of several networks: a value a line."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.files import write_whole
from frankenstein.runs.run import Run
from frankenstein.similarity.networks.between import Between
from frankenstein.similarity.networks.cards import paths
from frankenstein.similarity.networks.estimates import over_pairs

MEAN = "mean over layers"
ROWS = 100_000  # of `pairs.csv`, at most
_LAYERS = [
    *("measure", "layer", "other_layer", "mean", "low", "high", "interval_over", "spread"),
    *("least", "most"),
]


def save_tables(run: Run, found: Between, draws: Mapping[str, Tensor]) -> list[str]:
    """Tidy tables, a value a line; the names of those that were written."""
    names, numbers = found.networks, range(len(found.networks))
    rows: list[list[Any]] = [
        [measure, layer, names[i], names[j], float(values[i, j, place])]
        for measure, values in found.values.items()
        for place, layer in enumerate(found.layers)
        for i in numbers
        for j in numbers
        if (i < j or (i != j and not MEASURES[measure].symmetric))
    ]
    files = {"networks.csv": (["measure", "layer", "network", "other", "value"], rows)}
    if found.across:
        files["layers.csv"] = (
            _LAYERS,
            [row for m in found.across for row in _layer_rows(found, m, draws.get(m))],
        )
        pairs = [
            [measure, names[i], names[j], one, other, float(whole[i, j, a, b])]
            for measure, whole in found.across.items()
            if len(found.across) * len(names) ** 2 * len(found.layers) ** 2 <= 2 * ROWS
            for i in numbers
            for j in numbers
            if i < j
            for a, one in enumerate(found.layers)
            for b, other in enumerate(found.layers)
        ]
        if pairs:
            head = ["measure", "network", "other", "layer", "other_layer", "value"]
            files["pairs.csv"] = head, pairs
    path = [[m, *row] for m in found.values for row in path_rows(run, found, m)]
    if path:
        head = ["measure", "training", "network", "unit", "step", "end_of", "layer", "value"]
        files["path.csv"] = head, path
    for file, (head, lines) in files.items():
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([head, *lines])
        write_whole(run.folder / file, text.getvalue())
    return [*files, *_save_matrices(run, found)]


def _save_matrices(run: Run, found: Between) -> list[str]:
    """Those that `Run.matrices` reads."""
    matrices = {measure: found.matrix(measure) for measure in found.values}
    for measure in found.across:
        matrices[f"{measure}-mean"] = found.mean_over_pairs(measure)
        matrices[f"{measure}-spread"] = found.spread_over_pairs(measure)
    return [matrix.to_csv(run.folder / f"{name}.csv").name for name, matrix in matrices.items()]


def _layer_rows(found: Between, measure: str, draws: Tensor | None) -> Iterator[list[Any]]:
    """Layer by layer: mean over pairs and its interval, spread, least and most.

    Examples are drawn again for a layer with itself alone, so `interval_over` says what of.
    """
    limits = MEASURES[measure].range
    parts = over_pairs(found.across[measure], limits=limits)
    at_layers = over_pairs(found.values[measure], draws, limits)
    for part, of_layer in zip(parts, at_layers, strict=True):
        part.diagonal().copy_(of_layer)
    mean, low, high, spread = parts
    pairs = found.of_pairs(measure)
    least, most = pairs.amin(0), pairs.amax(0)
    for i, one in enumerate(found.layers):
        for j, other in enumerate(found.layers):
            over = "networks" if draws is None or i != j else "networks and examples"
            ends = (float(part[i, j]) for part in (mean, low, high))
            rest = (float(part[i, j]) for part in (spread, least, most))
            yield [measure, one, other, *ends, over, *rest]


def path_rows(run: Run, found: Between, measure: str) -> list[list[Any]]:
    """Training, its network, step, what it is held against, layer, value: of `path.csv`."""
    known = paths({name: run.networks.get(name, {}) for name in found.networks})
    ends = {path.name: path.networks[-1] for path in known}
    values = [*found.values[measure].movedim(2, 0), found.values[measure].mean(2)]
    index = {name: i for i, name in enumerate(found.networks)}
    return [
        [
            path.name,
            network,
            path.unit,
            step,
            own,
            layer,
            float(at[index[network], index[end]]),
        ]
        for path in known
        for network, step in zip(path.networks, path.steps, strict=True)
        for own, end in ends.items()
        for layer, at in zip((*found.layers, MEAN), values, strict=True)
        if network != end
    ]
