"""Moments of k parts of the examples, so that each part can be predicted from all others."""

from collections.abc import Callable

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.errors import UserError
from frankenstein.shapes import as_tensor, per_location, same_examples


class Folds:
    """Moments of `count` disjoint parts of the examples: one pass serves all of cross-validation.

    Example i goes to part i modulo `count`, with all of its places. Memory is that of `count`
    Moments.
    """

    def __init__(self, count: int = 5, flatten: Callable[[Tensor], Tensor] = per_location) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        if count < 2:
            raise UserError(f"cross-validation takes two parts or more, got {count}")
        self.parts = [Moments(flatten) for _ in range(count)]
        self.n_seen = 0  # examples
        self.cache: dict[str, dict[int, dict]] = {}  # by side and part: see `Moments.cached`

    def update(
        self,
        source: Tensor,  # (N, ...)
        target: Tensor,  # (N, ...)
    ) -> "Folds":
        """Add a batch of both representations; returns self.

        Raises:
            ShapeError: if the two hold a different number of rows once flattened.
        """
        source, target = as_tensor(source), as_tensor(target)
        same_examples(source, target)
        for i, part in enumerate(self.parts):
            first = (i - self.n_seen) % len(self.parts)
            part.update(source[first :: len(self.parts)], target[first :: len(self.parts)])
        self.n_seen += len(source)
        return self

    def merge(self, other: "Folds") -> "Folds":
        """Add the examples of `other`, part by part; returns self."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.merge(theirs)
        self.n_seen += other.n_seen
        return self

    def all_reduce(self) -> "Folds":
        """Become the folds of all processes together, on each of them; returns self."""
        for part in self.parts:
            part.all_reduce()
        return self

    def without(self, left_out: int) -> Moments:
        """Means and covariances of all examples but those of one part (of all for part -1).

        Parts are added up and none is taken away from a total, in which it may be all there is.
        """
        rest = [part for i, part in enumerate(self.parts) if i != left_out and part.n]
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
