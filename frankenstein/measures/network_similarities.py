"""Measures of the layers of several networks with one another, from one pass of each network."""

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.grams import NetworkGrams
from frankenstein.accumulators.layer_reservoir import LayerReservoir, kept_between
from frankenstein.accumulators.network_moments import Key, NetworkFolds, NetworkMoments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures.layer_similarities import LayerSimilarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning, every_pair
from frankenstein.shapes import FLATTENINGS, Layers, layers_of

_NAMED = 5  # reasons that a warning gives


class NetworkSimilarities:
    """Keeps of all layers of several networks what the named measures need, each once.

    What a measure is made from and how it flattens is as in `LayerSimilarities`, and so is every
    value. Memory does not grow with the examples. It is, for K networks of L layers of D units:
    of sums (K·D)² numbers for each group of layers that meet (`group_of`), of Gram matrices one
    number a pair of layers and, while a batch is worked on, K·L matrices of a block, and of kept
    examples `limit` times all layers of all networks. Nothing is kept for a pair.

    Of a batch `take` every network's layers, one after another, and then `end` it: no more than one
    network's layers are there at a time, but for what is kept of them.
    """

    def __init__(
        self,
        measures: Sequence[str],
        flattening: str | None = None,
        block: int = 64,
        limit: int = 2000,
        group_of: Callable[[Key], Hashable] = lambda key: None,
    ) -> None:
        """Start empty; layers meet where `group_of` is the same of both, which is everywhere.

        Raises:
            UserError: for an unknown measure, or a flattening that makes no sense of one.
        """
        self._like = LayerSimilarities(measures, flattening, block, limit)
        if self._like.needs_labels:
            raise UserError("measures within classes are of two networks at a time; give two")
        self.flattenings, self.needs_inputs = self._like.flattenings, self._like.needs_inputs
        self.block, self.limit, self.group_of = block, limit, group_of
        self.n = self._batch = 0  # examples, and those of the batch that is taken
        self.shapes: dict[str, dict[str, torch.Size]] = {}  # of every network's layers: (...)
        self._sums: dict[tuple[str, str], Any] = {}
        for name in measures:
            kind, flattening = self.kind(name), self.flattenings[name]
            if kind != "examples" and (kind, flattening) not in self._sums:
                self._sums[kind, flattening] = self._made(kind, flattening)
        self._kept: dict[tuple[str, str], LayerReservoir] = {}  # by flattening and network

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """Of every network, in order."""
        return {network: tuple(shapes) for network, shapes in self.shapes.items()}

    def kind(self, measure: str) -> str:
        """What a measure is made from: "grams", "moments", "folds" or "examples"."""
        return self._like.kind(measure)

    def examples(self, measure: str) -> int:
        """How many enter a measure's values."""
        kind, flattening = self.kind(measure), self.flattenings[measure]
        if kind == "grams":
            return self._sums[kind, flattening].n
        return min(self.n, self.limit) if kind == "examples" else self.n

    def take(self, network: str, layers: Layers, inputs: Tensor | None = None) -> None:
        """A network's layers, (N, ...) each, of a batch; inputs only if `needs_inputs`."""
        layers = layers_of(layers)
        self.shapes.setdefault(network, {s: z.shape[1:] for s, z in layers.items()})
        self._batch = len(next(iter(layers.values())))
        single = {
            s: z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
            for s, z in layers.items()
        }
        for (kind, _), sums in self._sums.items():
            sums.take(network, layers if kind == "grams" else single)
        for flattening in self._flattenings_of_examples():
            kept = self._kept.get((flattening, network))
            if kept is None:
                kept = LayerReservoir(self.limit, self.needs_inputs, FLATTENINGS[flattening])
                self._kept[flattening, network] = kept
            # A reservoir has two sides; the pair is made of two of them when it is asked for.
            nothing = next(iter(single.values())).new_zeros(self._batch, 1)
            kept.update(single, {"": nothing}, inputs)

    def end(self) -> None:
        """Add the batch that every network's layers were taken of."""
        for sums in self._sums.values():
            sums.end()
        self.n, self._batch = self.n + self._batch, 0

    def matrix(
        self, measure: str, one: str, other: str, rows: Sequence[str], columns: Sequence[str]
    ) -> Tensor:  # (len(rows), len(columns)), float64
        """A measure of layers of a network with layers of another; NaN, silently, if undefined.

        Raises:
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
        """
        if self.kind(measure) == "grams":
            grams = self._sums["grams", self.flattenings[measure]].between(one, other)
            whole = MEASURES[measure].from_grams(grams)
            i = [self.layers[one].index(row) for row in rows]
            j = [self.layers[other].index(column) for column in columns]
            return whole[i][:, j].double().cpu()
        values, _ = every_pair(measure, self._pair(measure, one, other), rows, columns)
        return values.cpu()

    def why(self, measure: str, one: Key, other: Key) -> str:
        """Why a value is NaN."""
        if self.kind(measure) == "grams":
            return "it does not vary, or no block held the 4 examples that it needs"
        pair = self._pair(measure, one[0], other[0])
        _, reasons = every_pair(measure, pair, [one[1]], [other[1]])
        return "; ".join(sorted(reasons)[:_NAMED])

    def warn_undefined(self, measure: str, lost: Sequence[tuple[Key, Key]], total: int) -> None:
        """One warning of all values that are NaN; none if none is."""
        if lost:
            (one, other), more = lost[0], len(lost) - 1
            warnings.warn(
                f"{measure} is undefined for {len(lost)} of {total} pairs of layers, such as "
                f"{one[1]!r} of {one[0]} with {other[1]!r} of {other[0]}"
                f"{f' and {more} more' if more else ''}: {self.why(measure, one, other)}",
                UndefinedSimilarityWarning,
                stacklevel=3,
            )

    def _made(self, kind: str, flattening: str) -> NetworkGrams | NetworkMoments | NetworkFolds:
        if kind == "grams":
            return NetworkGrams(self.block)
        make = NetworkMoments if kind == "moments" else NetworkFolds
        return make(FLATTENINGS[flattening], self.group_of)

    def _pair(self, measure: str, one: str, other: str) -> Callable[[str, str], Any]:
        kind, flattening = self.kind(measure), self.flattenings[measure]
        if kind == "examples":
            kept = [self._kept[flattening, network] for network in (one, other)]
            return lambda row, column: kept_between(kept[0], row, kept[1], column)
        sums = self._sums[kind, flattening]
        return lambda row, column: sums.pair((one, row), (other, column))

    def _flattenings_of_examples(self) -> Iterator[str]:
        named = {flat for name, flat in self.flattenings.items() if self.kind(name) == "examples"}
        yield from sorted(named)
