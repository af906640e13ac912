"""Sums kept class by class: what is left of two representations when class means are taken off.

Two networks that tell the same classes apart are alike by that alone, whatever else they see. With
the class means taken off both, what is alike is how examples of one class differ. Sums of every
class by itself say that without a second pass: those of all classes, each about its own mean, are
the sums of the rows less their class's mean, and together they are the sums of all rows.

Memory is that of one class times their number: for data of few classes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, Tokens, per_location, same_examples, where_float64_is

_NUMBERS = 2**29  # in the sums of all classes: 4 GB
_LARGE, _HELD = 2**20, 2**22  # numbers of a batch that is added at once, and of all that wait


@dataclass(frozen=True, eq=False)
class WithinClasses:
    """Moments of rows less their class's mean; of a class with one row nothing is left."""

    moments: Moments
    means: int  # that were taken off: classes of two rows or more


def within_classes(parts: Iterable[Moments]) -> WithinClasses:
    """What is left of the rows when each class, whose moments these are, loses its mean.

    Raises:
        UserError: if there are no examples, or NaN or Inf among them.
    """
    parts = [part for part in parts if part.mean("x").numel()]  # reading looks for NaN and Inf
    parts = [part for part in parts if part.n > 1]
    if not parts:
        return WithinClasses(Moments(), 0)
    if all(part.rows for part in parts):
        rows = [torch.cat([part.rows[side] for part in parts]) for side in "xy"]
        if len(rows[0]) <= max(z.shape[1] for z in rows):
            return WithinClasses(Moments.of_rows(*rows), len(parts))
    total, *others = [part.about_mean() for part in parts]
    for other in others:
        other.shift = total.shift  # 0, as that is: nothing has to be moved
        total.merge(other)
    # What rounding leaves of a unit that is constant in every class is not there.
    for side in "xy":
        varies = torch.stack([part.variance(side) > 0 for part in parts]).any(0)
        total.forget(side, ~varies)
    return WithinClasses(total.frozen(), len(parts))


def within_of_sums(
    whole: Moments,
    counts: Tensor,  # (K,) rows of each class
    sums: Mapping[str, Tensor],  # (K, D) and (K, E): of x and y less the shift of `whole`
) -> WithinClasses:
    """The same of means and covariances alone: what class means hold is taken from the whole.

    Without what unbiased HSIC needs. A unit whose variance within classes is less than a thousand
    millionth of the whole is taken for constant there: rounding would be too much of the rest.
    """
    some = counts > 0
    held = {side: one[some] / counts[some, None].sqrt() for side, one in sums.items()}
    second = {a + b: whole.second[a + b] - held[a].T @ held[b] for a, b in ("xx", "xy", "yy")}
    for side in "xy":
        pair = side + side
        full = whole.second[pair].diagonal()
        varies = second[pair].diagonal() > 1e-9 * full
        mask = torch.where(varies, 1.0, 0.0).to(full)
        second = {
            key: value * (mask[:, None] if key[0] == side else 1) * (mask if key[1] == side else 1)
            for key, value in second.items()
        }
    zeros = {side: torch.zeros_like(whole.first[side]) for side in "xy"}
    several = counts > 1
    n = int(counts[several].sum())
    return WithinClasses(Moments.of_sums(n, zeros, zeros, second), int(several.sum()))


class ByClass:
    """Moments of two representations, of every class by itself."""

    def __init__(self, flatten: Callable[[Tensor], Tensor] = per_location) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self.parts: dict[int, AdaptiveMoments] = {}

    def update(self, source: Tensor, target: Tensor, labels: Tensor) -> "ByClass":
        """Add a batch (N, ...) of both with the class of each example; returns self.

        Raises:
            ShapeError: if they are not as many, or an example has several labels.
        """
        same_examples(source, target)
        for label, some in _rows_of(labels, len(source)).items():
            part = self.parts.setdefault(label, AdaptiveMoments(self.flatten))
            part.update(source[some.to(source.device)], target[some.to(target.device)])
        return self

    def all_reduce(self) -> "ByClass":
        """Become the classes of all processes together, on each of them; returns self."""
        for label in _everyones(self.parts):
            self.parts.setdefault(label, AdaptiveMoments(self.flatten)).all_reduce()
        return self

    def frozen(self) -> WithinClasses:
        """What measures within classes take."""
        if not self.parts:
            raise UserError("no examples were given; is the data set empty?")
        return within_classes(self.parts[label].frozen() for label in sorted(self.parts))


class _Batch(NamedTuple):
    """Layers of both sides with their labels."""

    xs: Mapping[str, Tensor]
    ys: Mapping[str, Tensor]
    labels: Tensor

    @property
    def layers(self) -> list[tuple[str, Tensor]]:
        """Those of both sides."""
        return [*self.xs.items(), *self.ys.items()]

    @property
    def kind(self) -> object:
        """What batches have in common that can be one; of padded text none have."""
        if any(isinstance(z, Tokens) for _, z in self.layers):
            return object()
        n = len(self.labels)
        layers = [(s, z.shape[1:], z.dtype, z.device, len(z) == n) for s, z in self.layers]
        return layers, self.labels.ndim, self.labels.dtype

    @property
    def numbers(self) -> int:
        """How many it holds."""
        return sum(z.shape.numel() for _, z in self.layers)


class LayerClasses:
    """The same of all layers of two networks: a matrix product a class for all pairs.

    Small batches wait until they are many: a class has few examples in one.
    """

    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self._parts: dict[int, LayerMoments] = {}
        self._held: list[_Batch] = []  # not added yet
        self._waiting = 0  # numbers in these
        self._kind: object = None  # of the last batch
        self._within: dict[tuple[str, str], WithinClasses] = {}
        self._whole: LayerMoments | None = None

    def update(
        self, xs: Mapping[str, Tensor], ys: Mapping[str, Tensor], labels: Tensor
    ) -> "LayerClasses":
        """Add a batch (N, ...) of every layer; returns self.

        Raises:
            ShapeError: as `LayerMoments` does, and if an example has several labels.
            UserError: if sums of so many units and classes take more memory than a machine has.
        """
        self._within, self._whole = {}, None
        batch = _Batch(self._small(xs), self._small(ys), labels)
        kind = batch.kind
        fits, self._kind = kind == self._kind, None  # until it is known to be right
        if not fits:
            self._add()
        numbers = batch.numbers
        large = numbers >= _LARGE
        if not (fits or large):
            self._try(batch)
        self._kind = kind
        self._held.append(batch)
        self._waiting += numbers
        if large or self._waiting >= _HELD:
            self._add()
        return self

    def pair(self, x: str, y: str) -> WithinClasses:
        """What is left of one layer and another when class means are taken off both.

        Raises:
            ShapeError: if the two have different numbers of rows.
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
        """
        if not self.parts:
            raise UserError("no examples were given; is the data set empty?")
        if (x, y) not in self._within:
            parts = (self.parts[label].pair(x, y) for label in sorted(self.parts))
            self._within[x, y] = within_classes(parts)
        return self._within[x, y]

    @property
    def parts(self) -> dict[int, LayerMoments]:
        """The sums of every class."""
        self._add()
        return self._parts

    @property
    def whole(self) -> LayerMoments:
        """The sums of all examples, whatever their class."""
        if self._whole is None:
            parts = [self.parts[label] for label in sorted(self.parts)]
            self._whole = LayerMoments.of_parts(parts) if parts else LayerMoments(self.flatten)
        return self._whole

    def _small(self, layers: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Layers as they are held: rows, where flattening makes them fewer numbers."""
        if self.flatten is per_location:
            return layers
        return {s: self.flatten(where_float64_is(z)) for s, z in layers.items()}

    def _try(self, batch: _Batch) -> None:
        """Say at once what is wrong with the first batch of its kind: by an example of it."""
        n = len(batch.labels)
        one, other = (
            {s: z[:1] if len(z) == n else z for s, z in side.items()}
            for side in (batch.xs, batch.ys)
        )
        classes = _rows_of(batch.labels, len(next(iter(batch.xs.values()))))
        part = next(iter(self._parts.values()), LayerMoments(self.flatten))
        self._check_size(part.moved_to(part.shift).update(one, other), {*classes, *self._parts})

    def _add(self) -> None:
        """Add what is held to the sums."""
        held, self._held, self._waiting = self._held, [], 0
        if not held:
            return
        labels = torch.cat([one.labels for one in held])
        n = sum(len(next(iter(one.xs.values()))) for one in held)
        if not (places := _rows_of(labels, n)):
            return
        order, start = torch.cat([*places.values()]), 0
        xs, ys = (
            {s: _in_order([one[s] for one in side], order) for s in side[0]}
            for side in ([one.xs for one in held], [one.ys for one in held])
        )
        for label, some in places.items():
            end = start + len(some)
            part = self._parts.setdefault(label, LayerMoments(self.flatten))
            part.update(*({s: z[start:end] for s, z in one.items()} for one in (xs, ys)))
            self._check_size(part, self._parts)
            start = end

    def _check_size(self, part: LayerMoments, classes: Collection[int]) -> None:
        numbers = sum(sums.numel() for side in part.own.values() for sums in side.values())
        numbers += sum(sums.numel() for sums in part.cross.values())
        if (numbers := numbers * len(classes)) > _NUMBERS:
            raise UserError(
                f"sums of {len(classes)} classes by themselves take "
                f"{8 * numbers / 1e9:.0f} GB; measures within classes are for data of few classes "
                "and layers: take fewer layers, or pooled for the flattening"
            )


def _in_order(batches: Sequence[Any], order: Tensor) -> Any:
    """The examples of one layer, of all batches together, in this order."""
    first, *others = batches
    order = order.to(first.device)
    if not others:  # so of padded text
        whole = isinstance(first, Tokens) or first.ndim < 2
        return (
            first[order]
            if whole
            else _numbers(first).index_select(0, order).view(-1, *first.shape[1:])
        )
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    rows = first.new_empty(len(order), *first.shape[1:])
    # Each example is copied once; to put batches behind one another first would be twice.
    for z, some in zip(batches, place.split([len(z) for z in batches]), strict=True):
        _numbers(rows).index_copy_(0, some, _numbers(z))
    return rows


def _numbers(z: Tensor) -> Tensor:  # (N, ...) to (N, D), or as it is: twice as fast
    return z.flatten(1) if z.ndim > 1 else z


def _rows_of(labels: Tensor, n: int) -> dict[int, Tensor]:
    """The places of a batch's examples by class."""
    if labels.ndim != 1 or labels.is_floating_point():
        raise ShapeError(
            "measures within classes take one class of each example, a whole number, got labels "
            f"of shape {tuple(labels.shape)}, {str(labels.dtype).removeprefix('torch.')}"
        )
    if len(labels) != n:
        raise ShapeError(f"got {len(labels)} labels for {n} examples; use one loader for both")
    order = labels.sort(stable=True)
    classes, counts = order.values.unique_consecutive(return_counts=True)
    places = order.indices.split(counts.tolist())
    return dict(zip(classes.tolist(), places, strict=True))


def _everyones(labels: Iterable[int]) -> list[int]:
    """The classes that any process has seen, in order."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return sorted(labels)
    everyone: list[list[int]] = [[]] * distributed.get_world_size()
    distributed.all_gather_object(everyone, [*labels])
    return sorted({label for own in everyone for label in own})
