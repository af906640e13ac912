"""The rows of all layers while they are fewer than units, and then the sums of all pairs."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.layer_moments import LIMIT, LayerMoments
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import are_few
from frankenstein.errors import UserError
from frankenstein.shapes import pooled, same_examples, where_float64_is

Sides = dict[str, dict[str, Tensor]]  # of "x" and "y", by layer: (N, D)


class LayerRows:
    """`LayerMoments` of layers that may be wider than there are examples.

    While examples are no more than the units of the widest layer, each a row, the rows are kept as
    they came, in less memory than sums over pairs of units. A pair of layers then has moments of
    rows (`Moments.of_rows`), from which measures go by Gram matrices, with the same values. What
    follows from one layer alone, as its Gram matrix does, is made once for all pairs.
    """

    def __init__(self, flatten: Callable[[Tensor], Tensor] = pooled) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self.sums = LayerMoments(flatten)
        self._held: list[Sides] = []  # batches
        self._forget()

    @torch.no_grad()
    def update(self, xs: Mapping[str, Tensor], ys: Mapping[str, Tensor]) -> "LayerRows":
        """Add a batch (N, ...) of every layer; returns self.

        Raises:
            ShapeError: if the layers hold different examples, or other units than before.
            UserError: if neither so many rows nor sums of so many units can be held.
        """
        if self.sums.n:
            self.sums.update(xs, ys)
            return self
        first = next(iter(xs.values()))
        for z in (*xs.values(), *ys.values()):
            same_examples(first, z)
        if not len(first):
            return self
        sides = {"x": xs, "y": ys}
        rows = {
            a: {s: self.flatten(where_float64_is(z)) for s, z in sides[a].items()} for a in "xy"
        }
        held = [*self._held, rows]
        if not _can_be_held(held, len(first)):
            self._sum_up()
            self.sums.update(xs, ys)
            return self
        self._forget()
        self._held = held
        return self

    def pair(self, x: str, y: str) -> Moments:
        """The moments of one layer with another: of rows, if they are fewer than the units of one.

        Raises:
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
            ShapeError: if the two have different numbers of rows.
        """
        if not self._held:
            return self.sums.pair(x, y)
        one, other = self._rows("x", x), self._rows("y", y)
        for rows, s, name in ((one, x, "first"), (other, y, "second")):
            if (name, s) not in self._finite:
                self._finite[name, s] = bool(rows.isfinite().all())
            if not self._finite[name, s]:
                raise UserError(f"NaN or Inf in the {name} representation, {s!r}")
        few = are_few(len(one), one.shape[1], other.shape[1])
        moments = Moments.of_rows(one, other) if few else Moments().update(one, other).frozen()
        for a, s in (("x", x), ("y", y)):
            moments.cache[a] = self._cache.setdefault((a, s, few), {})
        return moments

    def _rows(self, a: str, layer: str) -> Tensor:  # (N, D)
        """All rows of a layer; joined once, for whatever needs them."""
        if len(self._held) > 1:
            joined: Sides = {"x": {}, "y": {}}
            for side, layers in joined.items():
                for s in list(self._held[0][side]):
                    layers[s] = torch.cat([batch[side].pop(s) for batch in self._held])
            self._held = [joined]
        return self._held[0][a][layer]

    def _sum_up(self) -> None:
        held, self._held = self._held, []
        self._forget()
        for batch in held:
            self.sums.update(batch["x"], batch["y"])

    def _forget(self) -> None:
        self._finite: dict[tuple[str, str], bool] = {}
        self._cache: dict[tuple[str, str, bool], dict[Any, Any]] = {}  # see Moments.cached


def _can_be_held(batches: list[Sides], n: int) -> bool:
    """Whether these are few rows, one for each example, of the same layers and units."""
    latest = _units(batches[-1])
    rows = sum(len(next(iter(batch["x"].values()))) for batch in batches)
    return (
        all(len(z) == n for side in batches[-1].values() for z in side.values())
        and latest == _units(batches[0])
        and are_few(rows, *latest.values())
        and rows * sum(latest.values()) <= LIMIT
    )


def _units(batch: Sides) -> dict[tuple[str, str], int]:
    return {(a, s): z.shape[1] for a, side in batch.items() for s, z in side.items()}
