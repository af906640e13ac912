"""What is kept of all layers at once, for measures that take `Folds` or `Examples`."""

from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.layer_moments import CrossMoments
from frankenstein.accumulators.reservoir import Examples
from frankenstein.errors import UserError

Layers = Mapping[str, Tensor]  # representations (N, ...) of the same examples, by layer

_FOLDS = 5


class LayerFolds:
    """The parts of cross-validation, each with the moments of all pairs."""

    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        self.parts = [CrossMoments(flatten) for _ in range(_FOLDS)]
        self.n_seen = 0
        self._known: dict[str, dict[str, dict]] = {"x": {}, "y": {}}  # see Moments.once

    def update(self, xs: Layers, ys: Layers) -> None:
        """Add a batch of all layers; example i goes to part i modulo the number of parts."""
        for i, part in enumerate(self.parts):
            some = slice((i - self.n_seen) % _FOLDS, None, _FOLDS)
            part.update(*({s: z[some] for s, z in side.items()} for side in (xs, ys)))
        self.n_seen += len(next(iter(xs.values())))
        self._known = {"x": {}, "y": {}}

    def pair(self, row: str, column: str) -> Folds:
        """The folds of one layer with another."""
        folds = Folds(_FOLDS)
        folds.n_seen = self.n_seen
        seen = [part.pair(row, column) for part in self.parts if part.n]
        folds.parts[: len(seen)] = seen
        folds.known = {"x": self._known["x"].setdefault(row, {})}
        folds.known["y"] = self._known["y"].setdefault(column, {})
        return folds


class LayerExamples:
    """Kept examples of all layers, their units side by side."""

    def __init__(self, flatten: Callable[[Tensor], Tensor], limit: int) -> None:
        self.flatten = flatten
        self.kept = Examples(limit, flatten=lambda rows: rows)
        self.spans: list[dict[str, slice]] = [{}, {}]

    def update(self, xs: Layers, ys: Layers, inputs: Tensor | None = None) -> None:
        """Add a batch of all layers, and what they are made of if it is needed.

        Raises:
            UserError: if layers have different numbers of rows.
        """
        sides = [{s: self.flatten(z) for s, z in side.items()} for side in (xs, ys)]
        if len({len(rows) for side in sides for rows in side.values()}) > 1:
            raise UserError(
                "layers have different numbers of rows an example; take pooled or per_sample"
            )
        self.spans = [_spans(side) for side in sides]
        x, y = (torch.cat(list(side.values()), 1) for side in sides)
        self.kept.update(x, y, inputs)

    def pair(self, row: str, column: str) -> Examples:
        """The examples of one layer with another.

        Raises:
            UserError: for NaN or Inf in a layer, which is named.
        """
        pair = self.kept.of_units(self.spans[0][row], self.spans[1][column])
        rows = pair._rows
        for a, layer, side in (("x", row, "first"), ("y", column, "second")):
            if not rows[a][: pair.n_kept].isfinite().all():
                raise UserError(f"NaN or Inf in the {side} network's layer {layer!r}")
        return pair


def _spans(side: Mapping[str, Tensor]) -> dict[str, slice]:
    edges = accumulate((rows.shape[1] for rows in side.values()), initial=0)
    return {s: slice(*edge) for s, edge in zip(side, pairwise(edges), strict=True)}
