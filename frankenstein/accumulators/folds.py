"""Moments of k parts of the examples, and of pairs of layers that share no sums."""

from collections.abc import Callable
from itertools import product
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.numbered import numbers_of, parts_of
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.errors import UserError
from frankenstein.shapes import Layers, per_location, same_examples, where_float64_is

T = TypeVar("T")

_FOLDS = 5


class Folds:
    """Moments of `count` disjoint parts of the examples: one pass serves all of cross-validation.

    An example goes with all of its places to the part that its number draws (see `parts_of`), so
    no order of labels matters. Memory is that of `count` Moments.
    """

    def __init__(
        self,
        count: int = 5,
        flatten: Callable[[Tensor], Tensor] = per_location,
        seed: int = 0,
    ) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        if count < 2:
            raise UserError(f"cross-validation takes two parts or more, got {count}")
        self.parts = [Moments(flatten) for _ in range(count)]
        self.seed, self.n_seen = seed, 0  # examples
        # By side and parts left out: see `Moments.cached`.
        self.cache: dict[str, dict[tuple[int, ...], dict]] = {}
        self.made: dict[str, Any] = {}  # see `once`

    def update(
        self,
        source: Tensor,  # (N, ...)
        target: Tensor,  # (N, ...)
    ) -> "Folds":
        """Add a batch of both representations; returns self.

        Raises:
            ShapeError: if the two hold a different number of rows once flattened.
        """
        source, target = where_float64_is(source), where_float64_is(target)
        same_examples(source, target)
        parts = drawn(self.n_seen, len(source), len(self.parts), self.seed)
        for part, some in zip(self.parts, parts, strict=True):
            part.update(source[some.to(source.device)], target[some.to(target.device)])
        self.n_seen += len(source)
        self.made = {}
        return self

    def merge(self, other: "Folds") -> "Folds":
        """Add the examples of `other`, part by part; returns self."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.merge(theirs)
        self.n_seen += other.n_seen
        self.made = {}
        return self

    def all_reduce(self) -> "Folds":
        """Become the folds of all processes together, on each of them; returns self."""
        for part in self.parts:
            part.all_reduce()
        self.made = {}
        return self

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What several measures need of both sides, made once for as long as nothing is added."""
        if what not in self.made:
            self.made[what] = make()
        return self.made[what]

    def without(self, *left_out: int) -> Moments:
        """Means and covariances of all examples but those of some parts, given in their order.

        Parts are added up and none is taken away from a total, in which it may be all there is.
        """
        rest = [part for i, part in enumerate(self.parts) if i not in left_out and part.n]
        if not rest:
            return Moments()
        n, shift = sum(part.n for part in rest), rest[0].shift
        first = {a: torch.zeros_like(shift[a]) for a in "xy"}
        second = {pair: torch.zeros_like(sums) for pair, sums in rest[0].second.items()}
        for part in rest:
            away = {a: part.shift[a] - shift[a] for a in "xy"}
            for pair, sums in part.second.items():
                a, b = pair[0], pair[1]
                second[pair] += sums + torch.outer(part.first[a], away[b])
                second[pair] += torch.outer(away[a], part.first[b] + part.n * away[b])
            for a in "xy":
                first[a] += part.first[a] + part.n * away[a]
        moments = Moments.of_sums(n, shift, first, second)
        moments.cache = {side: parts.setdefault(left_out, {}) for side, parts in self.cache.items()}
        return moments


def folds_of(
    x: "Tensor | Folds | Reservoir",  # (N, D), or both already
    y: Tensor | None = None,  # (N, E)
    count: int = 5,
) -> Folds:
    """What cross-validated measures take: folds as they are, or those of two representations.

    Raises:
        UserError: for sums that are not made by parts.
    """
    if isinstance(x, Folds):
        return x
    if isinstance(x, Reservoir):
        return Folds(count).update(x.x, x.y)
    if y is None:
        sums = hasattr(x, "merge")
        raise UserError(
            "this measure needs sums by parts; give it Folds, or two representations; got "
            + (type(x).__name__ if sums else "one representation")
        )
    return Folds(count).update(x, y)


class LayerFolds:
    """The parts of cross-validation, each with the moments of all pairs."""

    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        self.parts = [LayerMoments(flatten) for _ in range(_FOLDS)]
        self.n_seen = 0
        self._forget()

    def update(self, xs: Layers, ys: Layers) -> None:
        """Add a batch of all layers; the part of an example is that of `Folds`."""
        n = len(next(iter(xs.values())))
        for part, some in zip(self.parts, drawn(self.n_seen, n, _FOLDS), strict=True):
            part.update(*({s: z[some.to(z.device)] for s, z in side.items()} for side in (xs, ys)))
        self.n_seen += n
        self._forget()

    def pair(self, row: str, column: str) -> Folds:
        """The folds of one layer with another."""
        folds = Folds(_FOLDS)
        folds.n_seen = self.n_seen
        seen = [part.pair(row, column) for part in self.parts if part.n]
        folds.parts[: len(seen)] = seen
        folds.cache = {"x": self._cache["x"].setdefault(row, {})}
        folds.cache["y"] = self._cache["y"].setdefault(column, {})
        folds.made = self._made.setdefault((row, column), {})
        return folds

    def _forget(self) -> None:
        self._cache: dict[str, dict[str, dict]] = {"x": {}, "y": {}}  # see Moments.cached
        self._made: dict[tuple[str, str], dict[str, Any]] = {}


def drawn(first: int, n: int, count: int, seed: int = 0) -> list[Tensor]:
    """Places in a batch of the examples of each part, if this process saw `first` before it."""
    parts = parts_of(numbers_of(first, n), count, seed)
    return [(parts == i).nonzero()[:, 0] for i in range(count)]


class EachPair:
    """One accumulator, such as `AdaptiveMoments` or `Folds`, for every pair of layers."""

    def __init__(self, make: Callable[[], Any]) -> None:
        """Start empty; `make` makes the accumulator of a pair."""
        self.make = make
        self._pairs: dict[tuple[str, str], Any] = {}
        self._forget()

    def update(self, xs: Layers, ys: Layers, *labels: Tensor) -> None:
        """Add a batch of all layers, with labels where the accumulator takes them."""
        self._pairs = self._pairs or {pair: self.make() for pair in product(xs, ys)}
        for (row, column), sums in self._pairs.items():
            sums.update(xs[row], ys[column], *labels)
        self._forget()

    def pair(self, row: str, column: str) -> Any:
        """What is kept of one layer with another; what follows from it is made once."""
        if (row, column) not in self._frozen:
            sums = self._pairs[row, column]
            frozen = sums if isinstance(sums, Folds) else sums.frozen()
            for side, layer in (("x", row), ("y", column)):
                if hasattr(frozen, "cache"):
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
