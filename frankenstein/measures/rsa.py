"""Representational similarity analysis: are the same pairs of examples unlike in both?"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal, NamedTuple, get_args

import torch
from scipy.stats import kendalltau
from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.errors import UserError
from frankenstein.measures.dissimilarities import cosine_distances, patterns, squared_distances
from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined

Dissimilarity = Literal["correlation", "cosine", "euclidean", "squared_euclidean"]


def rsa_pearson(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    dissimilarity: Dissimilarity = "correlation",
) -> Tensor:  # ()
    """Pearson correlation in [-1, 1] of the dissimilarities of all pairs of examples.

    A pair's dissimilarity is one minus the correlation of its two patterns over units, one minus
    their cosine, their Euclidean distance or its square. Left out are examples whose units are all
    equal in x or y, which have no pattern to correlate, or all 0, which have no cosine. NaN with a
    warning where a representation does not vary, fewer than three examples are left, or all pairs
    are equally unlike.

    Source: Kriegeskorte et al. 2008, https://doi.org/10.3389/neuro.06.004.2008.
    Cost: O(N² (D + E)) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or only sums of them.
    """
    return _rsa(reservoir_of(x, y), "rsa_pearson", dissimilarity, lambda values: values, _product)


def rsa_spearman(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    dissimilarity: Dissimilarity = "correlation",
) -> Tensor:  # ()
    """Spearman's rank correlation in [-1, 1] of the dissimilarities; else as `rsa_pearson`.

    Equal dissimilarities share the mean of their ranks.
    """
    return _rsa(reservoir_of(x, y), "rsa_spearman", dissimilarity, _ranks, _product)


def rsa_kendall(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    dissimilarity: Dissimilarity = "correlation",
) -> Tensor:  # ()
    """Kendall's tau-b in [-1, 1] of the dissimilarities of all pairs; else as `rsa_pearson`.

    Of two pairs of examples, how much more often the same one is the more unlike in both than not.
    Without equal dissimilarities it is tau-a, which Nili et al. 2014 recommend for models with many
    (https://doi.org/10.1371/journal.pcbi.1003553); with them tau-a of a representation with itself
    is below 1.

    Cost: O(N² log N) time, on the CPU, for every pair of layers and draw.
    """
    return _rsa(reservoir_of(x, y), "rsa_kendall", dissimilarity, groups, _tau)


def _rsa(
    examples: Reservoir,
    name: str,
    dissimilarity: str,
    read: Callable[[Tensor], Tensor],
    correlation: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    if dissimilarity not in get_args(Dissimilarity):
        *most, last = get_args(Dissimilarity)
        known = f"{', '.join(most)} or {last}"
        raise UserError(f"a dissimilarity is {known}, got {dissimilarity!r}")
    if reason := nothing_to_compare(examples):
        return undefined(examples.x.double(), name, reason)
    rows = [examples.x.double(), examples.y.double()]
    if dissimilarity == "correlation":
        (x, left_x), (y, left_y) = map(patterns, rows)
        rows = [x[left_x & left_y], y[left_x & left_y]]
    if dissimilarity == "cosine":
        left = (rows[0] != 0).any(1) & (rows[1] != 0).any(1)
        rows = [one[left] for one in rows]
    n = len(rows[0])
    if n < 3:
        return undefined(rows[0], name, f"{n} examples have a pattern over units; it takes 3")
    distances = [_DISTANCES[dissimilarity](one) for one in rows]
    upper = torch.triu_indices(n, n, 1, device=rows[0].device)
    pairs = [read(values[upper[0], upper[1]]) for values in distances]
    for values, called in zip(pairs, ("first", "second"), strict=True):
        spread = values.double()
        if (spread - spread.mean()).norm() <= 1e-12 * spread.norm():
            reason = f"all pairs of examples are equally unlike in the {called} representation"
            return undefined(rows[0], name, reason)
    return correlation(*pairs)


_DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "correlation": cosine_distances,  # of patterns
    "cosine": cosine_distances,
    "euclidean": lambda rows: squared_distances(rows).sqrt(),
    "squared_euclidean": squared_distances,
}


def _product(x: Tensor, y: Tensor) -> Tensor:  # ()
    x, y = x - x.mean(), y - y.mean()
    return in_range(x @ y / (x.norm() * y.norm()), -1)


def _tau(x: Tensor, y: Tensor) -> Tensor:  # ()
    tau = kendalltau(x.cpu().numpy(), y.cpu().numpy(), method="asymptotic").statistic
    return in_range(torch.tensor(tau, dtype=torch.float64, device=x.device), -1)


def _ranks(values: Tensor) -> Tensor:
    return ranks_of(groups(values))


def groups(values: Tensor) -> Tensor:  # (N,) int64
    """Places of values in their order from 0 on; one place for what rounding alone tells apart."""
    ordered, order = values.sort()
    apart = ordered.diff(prepend=ordered[:1]) > 1e-13 * ordered[-1]
    return torch.empty_like(order).index_copy(0, order, apart.cumsum(0))


def ranks_of(places: Tensor) -> Tensor:  # (N,) float64
    """Ranks from 1 on of all or some values by their places; equal ones share the mean."""
    sizes = places.bincount()
    last = sizes.cumsum(0)
    return (last - (sizes - 1) / 2).double()[places]


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
        values = in_range(x @ y.T, -1)
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
                    values[a, b] = in_range(one @ other, -1) if enough else torch.nan
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
