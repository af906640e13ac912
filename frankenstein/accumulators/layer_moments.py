"""The moments of every layer of one network with every layer of another, each sum made once."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.shapes import (
    ShapeError,
    Tokens,
    per_location,
    pooled,
    same_tokens,
    where_float64_is,
)

Side = dict[str, Tensor]  # by layer

_PART = 2**18  # numbers of all layers' rows that are worked on at once
_LEAST = 256  # rows at once, so that adding up costs less than the product
LIMIT = 2**29  # numbers in the sums of all pairs: 4 GB
_TOGETHER = 2**20  # numbers of sums that are moved at once
_VARYING = 0  # places of an example that has as many as it has tokens


class LayerMoments:
    """Sums over the rows of all layers, from which the `Moments` of any pair follow.

    Each row x, less its layer's first mean, is lengthened by |x|² and 1. The products of such rows
    with one another are all that Moments hold; one matrix product makes them for all pairs of
    layers, and one more for each layer by itself. Pairs whose layers have different numbers of rows
    an example, as maps per location on different grids, have no moments.
    """

    def __init__(self, flatten: Callable[[Tensor], Tensor] = pooled) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self.n = 0  # examples seen
        self.places: dict[str, dict[str, int]] = {"x": {}, "y": {}}  # rows an example
        self.shift: dict[str, Side] = {"x": {}, "y": {}}  # (D,)
        self.own: dict[str, Side] = {"x": {}, "y": {}}  # (D + 2, D + 2)
        self.cross: dict[int, Tensor] = {}  # by places: Σ (D + 2) of x by that of y
        self._spans: dict[tuple[str, str], slice] = {}  # of layers in the product of their places
        self._cache: dict[str, dict[str, dict[Any, Any]]] = {"x": {}, "y": {}}  # see Moments.cached

    @torch.no_grad()
    def update(self, xs: Mapping[str, Tensor], ys: Mapping[str, Tensor]) -> "LayerMoments":
        """Add a batch (N, ...) of every layer; returns self.

        Raises:
            ShapeError: if the layers hold different examples, or other units than before.
            UserError: if sums of so many units take more memory than a machine has.
        """
        layers = {"x": xs, "y": ys}
        rows = {
            a: {s: self.flatten(where_float64_is(z)) for s, z in layers[a].items()} for a in layers
        }
        lengths = {len(z) for side in layers.values() for z in side.values()}
        if len(lengths) != 1:
            raise ShapeError(
                f"all layers must hold the same examples, got {sorted(lengths)} rows; "
                "use one loader for both"
            )
        n = lengths.pop()
        if n == 0:
            return self
        if self.n == 0:
            self._start(n, rows, layers)
        self._same_units(rows)
        self._same_tokens(layers)
        self._cache = {"x": {}, "y": {}}
        self.n += n
        for places, product in self.cross.items():
            ends = {a: Lengthened(self.shift[a], self._group(a, places)) for a in "xy"}
            count = len(rows["x"][self._group("x", places)[0]])
            for part in parts_of_rows(count, max(product.shape)):
                x, y = (ends[a].of(rows[a], part) for a in "xy")
                product.addmm_(x.T, y)
                for a, side in (("x", x), ("y", y)):
                    for s, span in ends[a].spans.items():
                        self.own[a][s].addmm_(side[:, span].T, side[:, span])
        return self

    def pair(self, x: str, y: str) -> Moments:
        """The moments of one layer with another; views of the sums, not copies.

        Raises:
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
            ShapeError: if the two have different numbers of rows.
        """
        if self.n == 0:
            raise UserError("no examples were given; is the data set empty?")
        places, others = self.places["x"][x], self.places["y"][y]
        if places != others:
            mine, theirs = (f"{one} rows" if one else "a row a token" for one in (places, others))
            raise ShapeError(
                f"{x!r} has {mine} an example and {y!r} has {theirs}: another flattening, "
                "such as pooled, compares them"
            )
        for a, s, name in (("x", x, "first"), ("y", y, "second")):
            if not self.finite(a, s):
                raise UserError(f"NaN or Inf in the {name} representation, {s!r}")
        moments = moments_of_products(
            {"x": self.shift["x"][x], "y": self.shift["y"][y]},
            self.own["x"][x],
            self.own["y"][y],
            self.cross[places][self._span("x", x), self._span("y", y)],
        )
        moments.cache = {"x": self._cache["x"].setdefault(x, {})}
        moments.cache["y"] = self._cache["y"].setdefault(y, {})
        return moments

    def finite(self, side: str, layer: str) -> bool:
        """Whether a layer of side "x" or "y" has held neither NaN nor Inf."""
        return bool(self.own[side][layer][:-2, -1].isfinite().all())

    def merge(self, other: "LayerMoments") -> "LayerMoments":
        """Add the sums of `other`, moved to this one's shifts; exact. Returns self."""
        if other.n == 0:
            return self
        if self.n == 0:
            self.__dict__.update(vars(other.moved_to(other.shift)))
            return self
        if {a: {s: len(z) for s, z in self.shift[a].items()} for a in "xy"} != {
            a: {s: len(z) for s, z in other.shift[a].items()} for a in "xy"
        }:
            raise ShapeError("these are sums over other layers or units; start new ones")
        moved = other.moved_to(self.shift)
        self._cache = {"x": {}, "y": {}}
        self.n += moved.n
        for a in "xy":
            for s in self.own[a]:
                self.own[a][s] = self.own[a][s] + moved.own[a][s]
        for places in self.cross:
            self.cross[places] = self.cross[places] + moved.cross[places]
        return self

    def moved_to(self, shift: dict[str, Side]) -> "LayerMoments":
        """A copy about other shifts: lengthened rows change by a matrix, and so do their sums."""
        moved = LayerMoments(self.flatten)
        moved.n, moved.shift = self.n, shift
        moved.places = {a: dict(self.places[a]) for a in "xy"}
        delta = {a: {s: shift[a][s] - self.shift[a][s] for s in shift[a]} for a in "xy"}
        for a in "xy":
            for s, sums in self.own[a].items():
                moved.own[a][s] = _moved(_moved(sums, [delta[a][s]]).T, [delta[a][s]])
        for places, sums in self.cross.items():
            x, y = ([delta[a][s] for s in self._group(a, places)] for a in "xy")
            moved.cross[places] = _moved(_moved(sums, x).T, y).T
        return moved

    @classmethod
    def of_parts(cls, parts: Sequence["LayerMoments"]) -> "LayerMoments":
        """The sums of several, of the same layers, together: what `merge` gives, at a stroke."""
        first = parts[0]
        whole = cls(first.flatten)
        whole.n, whole.shift = sum(part.n for part in parts), first.shift
        whole.places = {a: dict(first.places[a]) for a in "xy"}
        for a in "xy":
            for s in first.own[a]:
                moves = [[part.shift[a][s] for part in parts]]
                whole.own[a][s] = _added([part.own[a][s] for part in parts], moves, moves)
        for places in first.cross:
            x, y = (
                [[part.shift[a][s] for part in parts] for s in first._group(a, places)]
                for a in "xy"
            )
            whole.cross[places] = _added([part.cross[places] for part in parts], x, y)
        return whole

    def shapes(self) -> dict[int, tuple[int, int]]:
        """Of the products of all layers with so many places."""
        shapes = {}
        for places in sorted(set(self.places["x"].values()) & set(self.places["y"].values())):
            sizes = [sum(len(self.shift[a][s]) + 2 for s in self._group(a, places)) for a in "xy"]
            shapes[places] = (sizes[0], sizes[1])
        return shapes

    def _start(self, n: int, rows: dict[str, Side], layers: Mapping[str, Any]) -> None:
        by_token = self.flatten is per_location
        for a, side in rows.items():
            self.places[a] = {
                s: _VARYING if by_token and isinstance(layers[a][s], Tokens) else len(z) // n
                for s, z in side.items()
            }
            self.shift[a] = {s: z[0].double() for s, z in side.items()}
        sizes = {a: {s: len(z) + 2 for s, z in self.shift[a].items()} for a in rows}
        shapes = self.shapes()
        numbers = sum(x * y for x, y in shapes.values())
        numbers += sum(size**2 for side in sizes.values() for size in side.values())
        check_numbers(
            numbers, [(s, size - 2) for side in sizes.values() for s, size in side.items()]
        )
        for a, side in rows.items():
            # Near the mean is enough, and a mean of all rows costs as much as their product.
            some = {s: z[:: max(1, len(z) // _LEAST)] for s, z in side.items()}
            self.shift[a] = {s: z.mean(0, dtype=torch.float64) for s, z in some.items()}
        new = next(iter(self.shift["x"].values())).new_zeros
        self.own = {a: {s: new(size, size) for s, size in sizes[a].items()} for a in rows}
        self.cross = {places: new(*shape) for places, shape in shapes.items()}

    def _same_units(self, rows: dict[str, Side]) -> None:
        for a, side in rows.items():
            if list(side) != list(self.shift[a]):
                raise UserError("every batch holds the same layers in the same order")
            for s, z in side.items():
                if z.shape[1] != len(known := self.shift[a][s]):
                    raise ShapeError(
                        f"these are sums over {len(known)} units of {s!r}, got {z.shape[1]}; "
                        "start new ones"
                    )

    def _same_tokens(self, layers: Mapping[str, Any]) -> None:
        """Refuse layers of the same rows that do not have the same tokens."""
        groups = [layers[a][s] for a in "xy" for s in self._group(a, _VARYING)]
        if groups and _VARYING in self.cross:
            masks = {id(z.there): z for z in groups}
            first, *others = masks.values()
            for other in others:
                same_tokens(first, other)

    def _group(self, a: str, places: int) -> list[str]:
        return [s for s, own in self.places[a].items() if own == places]

    def _span(self, a: str, layer: str) -> slice:
        if (a, layer) not in self._spans:
            group = self._group(a, self.places[a][layer])
            self._spans |= {(a, s): one for s, one in side_by_side(self.shift[a], group).items()}
        return self._spans[a, layer]


def check_numbers(numbers: int, units: Sequence[tuple[str, int]]) -> None:
    """Refuse sums that take more memory than a machine has.

    Raises:
        UserError: with the layer that has the most units.
    """
    if numbers > LIMIT:
        name, most = max(units, key=lambda one: one[1])
        raise UserError(
            f"sums over so many units take {8 * numbers / 1e9:.0f} GB ({name!r} has {most:,}); "
            "take pooled for the flattening, fewer layers, or unbiased_cka, which needs none"
        )


def moments_of_products(
    shift: dict[str, Tensor],  # of "x" and "y": (D,), (E,)
    one: Tensor,  # (D + 2, D + 2) of lengthened rows of x with themselves
    other: Tensor,  # (E + 2, E + 2) of y
    both: Tensor,  # (D + 2, E + 2)
) -> Moments:
    """The moments that products of lengthened rows hold; views of them, not copies."""
    units, square, unit = slice(-2), -2, -1  # x itself, |x|² and 1
    moments = Moments.of_sums(
        int(one[unit, unit]),  # Σ 1²: rows
        shift,
        {"x": one[unit, units], "y": other[unit, units]},
        {"xx": one[units, units], "xy": both[units, units], "yy": other[units, units]},
    )
    moments.third = {
        "xx": one[square, units],
        "xy": both[square, units],
        "yx": both[units, square],
        "yy": other[square, units],
    }
    moments.fourth = {
        "xx": one[square, square],
        "xy": both[square, square],
        "yy": other[square, square],
    }
    return moments


class Lengthened:
    """Rows of some layers side by side, each less its shift and followed by |x|² and 1."""

    def __init__(self, shift: Mapping[Any, Tensor], layers: Sequence[Any]) -> None:
        self.shift = shift
        self.spans = side_by_side(shift, layers)
        # A line holds a unit, and not a row: products are faster.
        self._room = next(iter(shift.values())).new_empty(0, 0)

    def of(
        self, rows: Mapping[Any, Tensor], part: slice
    ) -> Tensor:  # (rows of the part, Σ (D + 2)), overwritten
        """The part of the rows; float64, as the shift is, so that nothing underflows."""
        n = len(rows[next(iter(self.spans))][part])
        if self._room.shape[1] < n:
            self._room = self._room.new_ones(max(span.stop for span in self.spans.values()), n)
        for s, span in self.spans.items():
            lengthened = self._room[span, :n]
            z, square = lengthened[:-2], lengthened[-2]
            torch.sub(rows[s][part].T, self.shift[s][:, None], out=z)
            torch.sum(z.square(), 0, out=square)
        return self._room[:, :n].T


def side_by_side(shift: Mapping[Any, Tensor], layers: Sequence[Any]) -> dict[Any, slice]:
    """Where each layer lies among lengthened rows side by side."""
    edges = accumulate((len(shift[s]) + 2 for s in layers), initial=0)
    return {s: slice(*edge) for s, edge in zip(layers, pairwise(edges), strict=True)}


def parts_of_rows(rows: int, width: int) -> list[slice]:
    """Rows that are worked on at once, of so many numbers each."""
    size = max(_LEAST, _PART // width)
    return [slice(start, start + size) for start in range(0, rows, size)]


def _added(
    sums: Sequence[Tensor],  # K of (Σ (D + 2), Σ (E + 2))
    x: Sequence[Sequence[Tensor]],  # by layer, K shifts (D,)
    y: Sequence[Sequence[Tensor]],  # likewise (E,)
) -> Tensor:  # (Σ (D + 2), Σ (E + 2))
    """All of them about the first one's shifts, added up; few at once where they are large."""
    size = max(1, _TOGETHER // sums[0].numel())
    total = torch.zeros_like(sums[0])
    for start in range(0, len(sums), size):
        part = slice(start, start + size)
        deltas = [[one[0] - torch.stack([*one[part]]) for one in side] for side in (x, y)]
        moved = _moved(torch.stack([*sums[part]]), deltas[0]).mT
        total += _moved(moved, deltas[1]).sum(0).T
    return total


def _moved(
    sums: Tensor,  # (..., Σ (D + 2), E)
    deltas: Sequence[Tensor],  # (..., D) each
) -> Tensor:  # (..., Σ (D + 2), E)
    """Each x among the rows replaced by x - δ, and with it |x|²."""
    blocks = []
    split = sums.split([d.shape[-1] + 2 for d in deltas], -2)
    for block, delta in zip(split, deltas, strict=True):
        x, square, one = block[..., :-2, :], block[..., -2:-1, :], block[..., -1:, :]
        length = delta.square().sum(-1)[..., None, None]
        square = square - 2 * (delta[..., None, :] @ x) + length * one
        blocks += [x - delta[..., None] * one, square, one]
    return torch.cat(blocks, -2)
