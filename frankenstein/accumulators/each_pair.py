"""Pairs of layers that share no sums: few pairs, or layers of many units."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from torch import Tensor, distributed

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}, the same examples


class EachPair:
    """One `AdaptiveMoments` or `Folds` for every pair of layers."""

    def __init__(self, make: Callable[[], AdaptiveMoments | Folds]) -> None:
        """Start empty; `make` makes the accumulator of a pair."""
        self.make = make
        self._pairs: dict[tuple[str, str], AdaptiveMoments | Folds] = {}
        self._forget()

    def update(self, xs: Layers, ys: Layers) -> None:
        """Add a batch of all layers."""
        self._pairs = self._pairs or {pair: self.make() for pair in product(xs, ys)}
        for (row, column), sums in self._pairs.items():
            sums.update(xs[row], ys[column])
        self._forget()

    def pair(self, row: str, column: str) -> Moments | Folds:
        """What is kept of one layer with another; what follows from it is made once."""
        if (row, column) not in self._frozen:
            sums = self._pairs[row, column]
            frozen = sums.frozen() if isinstance(sums, AdaptiveMoments) else sums
            for side, layer in (("x", row), ("y", column)):
                frozen.cache[side] = self._cache[side].setdefault(layer, {})
            self._frozen[row, column] = frozen
        return self._frozen[row, column]

    def all_reduce(self) -> None:
        """Become the sums of all processes together, on each of them."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return
        everyone: list[list[tuple[str, str]]] = [[]] * distributed.get_world_size()
        distributed.all_gather_object(everyone, [*self._pairs])
        pairs = next((pairs for pairs in everyone if pairs), [])
        self._pairs = self._pairs or {pair: self.make() for pair in pairs}
        for sums in self._pairs.values():
            sums.all_reduce()
        self._forget()

    def _forget(self) -> None:
        self._frozen: dict[tuple[str, str], Any] = {}
        self._cache: dict[str, dict[str, dict[Any, Any]]] = {"x": {}, "y": {}}  # by layer
