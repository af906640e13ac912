"""Moments of all pairs of layers in parts of the examples, for measures that take `Folds`."""

from collections.abc import Callable, Mapping

from torch import Tensor

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.layer_moments import LayerMoments

Layers = Mapping[str, Tensor]  # representations (N, ...) of the same examples, by layer

_FOLDS = 5


class LayerFolds:
    """The parts of cross-validation, each with the moments of all pairs."""

    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        self.parts = [LayerMoments(flatten) for _ in range(_FOLDS)]
        self.n_seen = 0
        self._cache: dict[str, dict[str, dict]] = {"x": {}, "y": {}}  # see Moments.cached

    def update(self, xs: Layers, ys: Layers) -> None:
        """Add a batch of all layers; example i goes to part i modulo the number of parts."""
        for i, part in enumerate(self.parts):
            some = slice((i - self.n_seen) % _FOLDS, None, _FOLDS)
            part.update(*({s: z[some] for s, z in side.items()} for side in (xs, ys)))
        self.n_seen += len(next(iter(xs.values())))
        self._cache = {"x": {}, "y": {}}

    def pair(self, row: str, column: str) -> Folds:
        """The folds of one layer with another."""
        folds = Folds(_FOLDS)
        folds.n_seen = self.n_seen
        seen = [part.pair(row, column) for part in self.parts if part.n]
        folds.parts[: len(seen)] = seen
        folds.cache = {"x": self._cache["x"].setdefault(row, {})}
        folds.cache["y"] = self._cache["y"].setdefault(column, {})
        return folds
