"""RSA of every layer with every layer for many draws of examples, from distances made once."""

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.measures.dissimilarities import cosine_distances, patterns
from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.rsa import groups, ranks_of


def resampled_rsa(
    xs: Iterable[Tensor],  # (N, D) each: rows of the same examples
    ys: Iterable[Tensor],
    inputs: Tensor | None = None,  # not needed, as for all measures but some
    *,
    ranked: bool,
) -> ValueOfDraw:
    """`rsa_spearman` if ranked, else `rsa_pearson`, of all pairs of layers.

    A draw takes pairs of examples out of distances that are made once. Cost of a draw: O(n² L M),
    whatever the number of features; ranks are counted, not sorted anew.
    """
    sides = [[_layer(rows, ranked) for rows in side] for side in (xs, ys)]

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        upper = torch.triu_indices(len(i), len(i), 1)
        cells = [_cells(index[upper], one[0]) for index, one in zip((i, j), sides, strict=True)]
        x, y = (
            torch.stack([_standard(layer.values[cell], ranked) for layer in layers])
            for layers, cell in zip(sides, cells, strict=True)
        )
        values = (x @ y.T).clamp(-1, 1)
        # Examples without a pattern in one of two layers are left out of both.
        known = [
            [None if layer.all_known else layer.known[cell] for layer in layers]
            for layers, cell in zip(sides, cells, strict=True)
        ]
        for a, left_x in enumerate(known[0]):
            for b, left_y in enumerate(known[1]):
                if left_x is not None or left_y is not None:
                    both = _both(left_x, left_y)
                    one, other = (
                        _standard(layers[at].values[cell][both], ranked)
                        for layers, at, cell in zip(sides, (a, b), cells, strict=True)
                    )
                    enough = int(both.sum()) >= 3
                    values[a, b] = (one @ other).clamp(-1, 1) if enough else torch.nan
        return values

    return value


resampled_rsa_pearson = partial(resampled_rsa, ranked=False)
resampled_rsa_spearman = partial(resampled_rsa, ranked=True)


class _Layer(NamedTuple):
    values: Tensor  # (N·N,): distances, or their places in order
    known: Tensor  # (N·N,): whether both examples have a pattern
    all_known: bool
    examples: int


def _layer(rows: Tensor, ranked: bool) -> _Layer:
    rows, left = patterns(rows)
    distances = cosine_distances(rows).flatten()
    known = left[:, None] & left
    values = groups(distances) if ranked else distances
    return _Layer(values, known.flatten(), bool(left.all()), len(rows))


def _cells(pairs: Tensor, layer: _Layer) -> Tensor:
    return (layer.examples * pairs[0] + pairs[1]).to(layer.values.device)


def _both(x: Tensor | None, y: Tensor | None) -> Tensor:
    if x is None or y is None:
        known = y if x is None else x
        assert known is not None
        return known
    return x & y


def _standard(values: Tensor, ranked: bool) -> Tensor:  # float64
    """Values, or their ranks, of mean 0 and norm 1; NaN where they are all equal."""
    values = ranks_of(values) if ranked else values
    left = values - values.mean()
    size = left.norm()
    return left / torch.where(size <= 1e-12 * values.norm(), torch.nan, size)
