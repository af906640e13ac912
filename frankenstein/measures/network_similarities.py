"""Measures of the layers of several networks with one another, from one pass of each network."""

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from frankenstein.accumulators.grams import NetworkGrams
from frankenstein.accumulators.layer_reservoir import LayerReservoir, kept_between
from frankenstein.accumulators.network_moments import Key, NetworkFolds, NetworkMoments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures.layer_similarities import Folded, LayerSimilarities
from frankenstein.measures.undefined import UndefinedSimilarityWarning, every_pair
from frankenstein.shapes import FLATTENINGS

_NAMED = 5  # reasons that a warning gives
_WHOLE = "whole"  # examples that are kept as they are


class OfNetwork(NamedTuple):
    """What `NetworkSimilarities` keeps of a batch of one layer of a network."""

    shape: torch.Size  # of an example
    folded: Folded
    whole: Tensor | None  # where examples are kept that nothing else holds


class NetworkSimilarities:
    """Keeps of all layers of several networks what the named measures need, each once.

    What a measure is made from and how it flattens is as in `LayerSimilarities`, and so is every
    value. Memory does not grow with the examples. It is, for K networks of L layers of D units:
    of sums (K·D)² numbers for each group of layers that meet (`group_of`), of Gram matrices one
    number a pair of layers and, while a batch is worked on, K·L matrices of a block, and of kept
    examples `limit` times all layers of all networks. Nothing is kept for a pair.

    Of a batch `fold` every layer of a network as soon as it is there, `take` what that gives, one
    network after another, and then `end` it: a network may let go of a layer that it no longer
    needs.
    """

    def __init__(
        self,
        measures: Sequence[str],
        flattening: str | None = None,
        block: int = 64,
        limit: int = 2000,
        group_of: Callable[[Key], Hashable] = lambda key: None,
        keep: bool = False,
    ) -> None:
        """Start empty; layers meet where `group_of` is the same of both, which is everywhere.

        `keep` says to keep `limit` examples for every measure, and not only where one needs them.

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
        self._keep = keep
        self._kept: dict[str, dict[str, LayerReservoir]] = {}  # by flattening or _WHOLE, network

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

    def fold(self, network: str, layer: str, z: Tensor) -> OfNetwork:
        """What is kept of a batch (N, ...) of one layer, which may then be let go; for `take`."""
        folded = self._like.fold("x", f"{layer} of {network}", z)
        lost = self._keep and any(self.kind(name) == "grams" for name in self.flattenings)
        return OfNetwork(z.shape[1:], folded, z.clone() if lost else None)

    def take(
        self, network: str, layers: Mapping[str, OfNetwork], inputs: Tensor | None = None
    ) -> None:
        """A network's layers of a batch, each folded; inputs only if `needs_inputs`."""
        self.shapes.setdefault(network, {s: one.shape for s, one in layers.items()})
        self._batch = next(iter(layers.values())).folded.n
        for key, sums in self._sums.items():
            sums.take(network, {s: one.folded.made[key] for s, one in layers.items()})
        for name, flattening in self._to_keep().items():
            kept = self._kept.setdefault(name, {}).setdefault(
                network, LayerReservoir(self.limit, self.needs_inputs, FLATTENINGS.get(name))
            )
            rows = {s: _rows(one, flattening) for s, one in layers.items()}
            # A reservoir has two sides; the pair is made of two of them when it is asked for.
            nothing = next(iter(rows.values())).new_zeros(self._batch, 1)
            kept.update(rows, {"": nothing}, None if inputs is None else inputs.to(nothing.device))

    def end(self) -> None:
        """Add the batch that every network's layers were taken of."""
        for sums in self._sums.values():
            sums.end()
        self.n, self._batch = self.n + self._batch, 0

    def kept(self, measure: str) -> dict[str, dict[str, Tensor]]:
        """Kept examples of every layer of every network, as `fold` takes them; only if `keep`."""
        flattening = self.flattenings[measure]
        kept = self._kept[_WHOLE if flattening == "per_location" else flattening]
        return {network: reservoir.x for network, reservoir in kept.items()}

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
            kept = [self._kept[flattening][network] for network in (one, other)]
            return lambda row, column: kept_between(kept[0], row, kept[1], column)
        sums = self._sums[kind, flattening]
        return lambda row, column: sums.pair((one, row), (other, column))

    def _to_keep(self) -> dict[str, str]:
        """What is kept of examples, by name, and the flattening whose rows it is made from."""
        found = {}
        for measure, flattening in self.flattenings.items():
            if self.kind(measure) == "examples":
                found[flattening] = flattening
            if self._keep:  # places of an example are drawn together
                found[_WHOLE if flattening == "per_location" else flattening] = flattening
        return found


def _rows(one: OfNetwork, flattening: str) -> Tensor:
    """Of whole examples for rows of places."""
    made = one.folded.made.items()
    there = (z for (kind, flat), z in made if kind != "grams" and flat == flattening)
    return next(there, cast(Tensor, one.whole))
