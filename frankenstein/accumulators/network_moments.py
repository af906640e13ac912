"""The moments of layers of several networks with one another, each sum made once."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.folds import Folds, drawn
from frankenstein.accumulators.layer_moments import (
    Lengthened,
    check_numbers,
    moments_of_products,
    parts_of_rows,
    side_by_side,
)
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.shapes import Layers, ShapeError, pooled

Key = tuple[str, str]  # a network and one of its layers
_FOLDS = 5


class NetworkMoments:
    """Sums over the rows of layers of several networks, from which `Moments` of pairs follow.

    A layer is summed with those of its group: `group_of` says which, and `None` stands for none of
    its own. So networks are compared at the layers that match, or at all of them, and memory is
    (Σ D)² numbers a group, whatever the examples. Rows are lengthened as in `LayerMoments`; a
    group's products are made network by network, each with those behind it. Of one network, layers
    are summed with themselves alone.

    Of a batch `take` every network's layers, one after another, and then `end` it.
    """

    def __init__(
        self,
        flatten: Callable[[Tensor], Tensor] = pooled,
        group_of: Callable[[Key], Hashable] = lambda key: None,
    ) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten, self.group_of = flatten, group_of
        self.n = 0  # examples seen
        self.places: dict[Key, int] = {}  # rows an example
        self.shift: dict[Key, Tensor] = {}  # (D,)
        self._groups: dict[Hashable, _Group] = {}
        self._rows: dict[Key, Tensor] = {}  # of the batch that is taken
        self._lengths: dict[str, int] = {}  # its examples, by network
        self._cache: dict[Key, dict[Any, Any]] = {}  # see Moments.cached
        self._finite: dict[Key, bool] = {}

    @torch.no_grad()
    def take(self, network: str, layers: Layers) -> None:
        """A network's layers, (N, ...) each, of a batch."""
        self._lengths[network] = len(next(iter(layers.values())))
        self._rows |= {(network, layer): self.flatten(z) for layer, z in layers.items()}

    @torch.no_grad()
    def end(self) -> None:
        """Add the batch that every network's layers were taken of.

        Raises:
            ShapeError: if the networks have seen other numbers of examples, or a layer has other
                units than before.
            UserError: if sums of so many units take more memory than a machine has.
        """
        rows, lengths = self._rows, self._lengths
        self._rows, self._lengths = {}, {}
        if len(different := sorted(set(lengths.values()))) != 1:
            raise ShapeError(f"networks must see the same examples, got {different} rows")
        if not (n := different[0]):
            return
        if not self.n:
            self._start(n, rows)
        for key, z in rows.items():
            if key not in self.shift or z.shape[1] != len(self.shift[key]):
                raise ShapeError(
                    f"{key[1]!r} of {key[0]} had other units before, or was not there; start new "
                    "sums"
                )
        self.n += n
        self._cache, self._finite = {}, {}
        for group in self._groups.values():
            group.add(rows)

    def pair(self, one: Key, other: Key) -> Moments:
        """The moments of a network's layer with another's.

        Raises:
            UserError: if there are no examples, NaN or Inf in a layer, or the two share no group.
            ShapeError: if the two have different numbers of rows.
        """
        if not self.n:
            raise UserError("no examples were given; is the data set empty?")
        if self.places[one] != self.places[other]:
            raise ShapeError(
                f"{one[1]!r} has {self.places[one]} rows an example and {other[1]!r} has "
                f"{self.places[other]}: another flattening, such as pooled, compares them"
            )
        group = self._groups[self.group_of(one), self.places[one]]
        apart = one[0] == other[0] and one != other
        if apart or self.group_of(one) != self.group_of(other):
            raise UserError(f"{one[1]!r} and {other[1]!r} were not summed with each other")
        for key, name in ((one, "first"), (other, "second")):
            if key not in self._finite:
                self._finite[key] = bool(group.own[key][:-2, -1].isfinite().all())
            if not self._finite[key]:
                raise UserError(f"NaN or Inf in the {name} representation, {key[1]!r} of {key[0]}")
        moments = moments_of_products(
            {"x": self.shift[one], "y": self.shift[other]},
            group.own[one],
            group.own[other],
            group.product(one, other),
        )
        moments.cache = {"x": self._cache.setdefault(one, {})}
        moments.cache["y"] = self._cache.setdefault(other, {})
        return moments

    def _start(self, n: int, rows: Mapping[Key, Tensor]) -> None:
        self.places = {key: len(z) // n for key, z in rows.items()}
        self.shift = {key: z.mean(0, dtype=torch.float64) for key, z in rows.items()}
        keys: dict[Hashable, list[Key]] = {}
        for key in rows:
            keys.setdefault((self.group_of(key), self.places[key]), []).append(key)
        sizes = {key: sum(len(self.shift[one]) + 2 for one in own) for key, own in keys.items()}
        units = [(f"{layer} of {network}", len(z)) for (network, layer), z in self.shift.items()]
        check_numbers(sum(size**2 for size in sizes.values()) // 2, units)
        self._groups = {
            name: _Group(own, self.shift, self.places[own[0]]) for name, own in keys.items()
        }


class _Group:
    """Layers that are summed with one another: their products, a network's rows at a time."""

    def __init__(self, keys: Sequence[Key], shift: Mapping[Key, Tensor], places: int) -> None:
        self.places, self.spans = places, side_by_side(shift, keys)
        self._lengthened = Lengthened(shift, keys)
        self._starts: dict[str, int] = {}  # where each network begins
        ends: dict[str, int] = {}
        for key in keys:
            self._starts.setdefault(key[0], self.spans[key].start)
            ends[key[0]] = self.spans[key].stop
        width, new = self.spans[keys[-1]].stop, shift[keys[0]].new_zeros
        self.own = {key: new(len(shift[key]) + 2, len(shift[key]) + 2) for key in keys}
        # Of each network with all behind it.
        self._products = {
            network: new(width - ends[network], ends[network] - start)
            for network, start in self._starts.items()
        }
        self._ends = ends

    def add(self, rows: Mapping[Key, Tensor]) -> None:
        """Add the rows of every layer."""
        counts = sorted({len(rows[key]) for key in self.spans})
        if len(counts) > 1:
            raise ShapeError(f"layers must have the same places, got {counts} rows")
        width = max(self._ends.values())
        for part in parts_of_rows(counts[0], width):
            z = self._lengthened.of(rows, part)
            for key, own in self.own.items():
                own.addmm_(z[:, self.spans[key]].T, z[:, self.spans[key]])
            for network, product in self._products.items():
                start, end = self._starts[network], self._ends[network]
                product.addmm_(z[:, end:].T, z[:, start:end])

    def product(self, one: Key, other: Key) -> Tensor:  # (D + 2, E + 2)
        """Σ of a layer's lengthened rows by another's, of another network or its own."""
        if one == other:
            return self.own[one]
        if self.spans[one].start < self.spans[other].start:
            return self.product(other, one).T
        start, end = self._starts[other[0]], self._ends[other[0]]
        rows, columns = self.spans[one], self.spans[other]
        return self._products[other[0]][
            rows.start - end : rows.stop - end, columns.start - start : columns.stop - start
        ]


class NetworkFolds:
    """The parts of cross-validation, each with the moments of all networks."""

    def __init__(
        self, flatten: Callable[[Tensor], Tensor], group_of: Callable[[Key], Hashable]
    ) -> None:
        self.parts = [NetworkMoments(flatten, group_of) for _ in range(_FOLDS)]
        self.n_seen = self._batch = 0
        self._forget()

    def take(self, network: str, layers: Layers) -> None:
        """A network's layers of a batch; the part of an example is that of `Folds`."""
        self._batch = len(next(iter(layers.values())))
        for part, some in zip(self.parts, drawn(self.n_seen, self._batch, _FOLDS), strict=True):
            part.take(network, {s: z[some.to(z.device)] for s, z in layers.items()})

    def end(self) -> None:
        """Add the batch that every network's layers were taken of."""
        for part in self.parts:
            part.end()
        self.n_seen += self._batch
        self._forget()

    def pair(self, one: Key, other: Key) -> Folds:
        """The folds of a network's layer with another's."""
        folds = Folds(_FOLDS)
        folds.n_seen = self.n_seen
        seen = [part.pair(one, other) for part in self.parts if part.n]
        folds.parts[: len(seen)] = seen
        folds.cache = {"x": self._cache.setdefault(one, {})}
        folds.cache["y"] = self._cache.setdefault(other, {})
        folds.made = self._made.setdefault((one, other), {})
        return folds

    def _forget(self) -> None:
        self._cache: dict[Key, dict[Any, Any]] = {}  # see Moments.cached
        self._made: dict[tuple[Key, Key], dict[str, Any]] = {}
