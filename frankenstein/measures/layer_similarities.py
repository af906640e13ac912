"""Any measures by name, of every layer of one network with every layer of another."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.classes import ByClass, LayerClasses
from frankenstein.accumulators.folds import EachPair, Folds, LayerFolds
from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.accumulators.layer_rows import LayerRows
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.catalog import MEASURES, Measure, find_measure
from frankenstein.errors import UserError
from frankenstein.measures.undefined import every_pair, warn_undefined
from frankenstein.shapes import (
    FLATTENINGS,
    Layers,
    Tokens,
    layers_of,
    per_location,
    where_float64_is,
)


class Folded(NamedTuple):
    """What `LayerSimilarities` keeps of a batch of one layer."""

    n: int  # examples
    made: dict[tuple[str, str], Any]  # by kind and flattening


class LayerSimilarities:
    """Keeps of all layers what the named measures need, each once, in one pass.

    Two representations are one layer on each side. Measures that the catalog makes from `Grams`
    come, per sample, from Gram matrices of `block` examples each; measures of sums from one matrix
    product a batch (`LayerMoments`, `LayerFolds`), or while examples are fewer than units from rows
    (`LayerRows`), or pair by pair (`AdaptiveMoments`, `Folds`); measures within classes from such
    sums of every class (`LayerClasses`, `ByClass`), of which the sums of all examples are made,
    too; the rest from at most `limit` kept examples. Memory does not grow with the number of
    examples.
    """

    def __init__(
        self,
        measures: Sequence[str],
        flattening: str | None = None,
        block: int | None = 64,
        limit: int = 2000,
        *,
        one_grid: bool = False,
        padded: bool = False,
        shared_up_to: float = math.inf,
    ) -> None:
        """Start empty; unless a flattening is named, each measure takes one that fits all layers.

        Where all lie on one grid (`one_grid`), that is the measure's own first choice. Else it is
        per_sample for measures made from Gram matrices or kept examples, and pooled for all others:
        places of different grids cannot be compared. Without a `block` there are no Gram matrices.
        Of `padded` sentences, as the first batch may show, it is never per_sample: they have no row
        of all their tokens; and within classes, which are those of sentences, pooled.

        Sums are shared by all pairs unless a layer has more than `shared_up_to` units. Then each
        pair is summed by itself, and keeps its rows while they are fewer than units.

        Raises:
            UserError: for an unknown measure, or a flattening that makes no sense of one.
        """
        measures = [measures] if isinstance(measures, str) else measures
        rows = {name: find_measure(name, flattening) for name in measures}
        choose = partial(_own if one_grid else _fitting_any_grid, grams=block is not None)
        known = {name: [flattening] if flattening else choose(row) for name, row in rows.items()}
        self.flattenings = {name: every[0] for name, every in known.items()}
        self._of_text = {
            name: "pooled"  # a class is a sentence's, and not its tokens'
            if rows[name].needs == "classes" and not flattening
            else next((one for one in every if one != "per_sample"), every[0])
            for name, every in known.items()
        }
        if padded:
            self.flattenings = self._of_text
        self.needs_inputs = any(row.needs == "inputs" for row in rows.values())
        self.needs_labels = any(row.needs == "classes" for row in rows.values())
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()
        self.n = 0  # examples
        self.block, self.limit, self._shared_up_to = block, limit, shared_up_to
        self._kept: dict[tuple[str, str], Any] = {}  # by kind and flattening

    def kind(self, measure: str) -> str:
        """What a measure is made from: "grams", or what the catalog says that is kept for it."""
        return self._key(measure)[0]

    def examples(self, measure: str) -> int:
        """How many enter a measure's values."""
        kept = self._kept_for(measure)
        if isinstance(kept, Grams):
            return kept.n
        return len(kept) if isinstance(kept, LayerReservoir) else self.n

    def update(
        self, xs: Layers, ys: Layers, inputs: Tensor | None = None, labels: Tensor | None = None
    ) -> "LayerSimilarities":
        """Add a batch of all layers; returns self. Inputs are kept only if `needs_inputs`.

        Raises:
            UserError: if it `needs_labels`, one class of each example (N,), and gets none.
        """
        if not self.flattenings:
            return self
        xs, ys = layers_of(xs), layers_of(ys)
        if not self._kept and any(isinstance(z, Tokens) for z in (*xs.values(), *ys.values())):
            self.flattenings = self._of_text
            if self.needs_inputs:
                raise UserError(
                    "deconfounded_cka takes out what inputs explain, and tokens are no quantities; "
                    "take another measure"
                )
        if not self._kept:
            self._start(self._units(xs, ys))
        x = {s: self._folded("x", s, z) for s, z in xs.items()}
        y = {s: self._folded("y", s, z) for s, z in ys.items()}
        return self.add(x, y, inputs, labels)

    def fold(self, side: Literal["x", "y"], layer: str, z: Tensor) -> "Folded":
        """What is kept of a batch of one layer, which may then be let go; for `add`.

        Gram matrices and means over places are made here; whole examples and places are as they
        are, in memory of their own: a network may go on to overwrite its.
        """
        if not self._kept:
            self._start(dict.fromkeys(self.flattenings.values(), self._shared_up_to or math.inf))
        folded = self._folded(side, layer, z)
        own = z.untyped_storage().data_ptr()
        for key, made in folded.made.items():
            if isinstance(made, Tensor) and made.untyped_storage().data_ptr() == own:
                folded.made[key] = made.clone()
        return folded

    def _folded(self, side: Literal["x", "y"], layer: str, z: Tensor) -> "Folded":
        z, made = where_float64_is(z), dict[tuple[str, str], Any]()
        for (kind, flattening), kept in self._kept.items():
            if isinstance(kept, Grams):
                made[kind, flattening] = kept.fold(side, layer, z)
            else:
                rows, flatten = _at_least_single(z), FLATTENINGS[flattening]
                made[kind, flattening] = rows if flatten is per_location else flatten(rows)
        return Folded(len(z), made)

    def add(
        self,
        xs: Mapping[str, "Folded"],
        ys: Mapping[str, "Folded"],
        inputs: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> "LayerSimilarities":
        """Add a batch of which every layer was folded; returns self. See `update`."""
        if self.needs_labels and labels is None:
            name = next(one for one in self.flattenings if MEASURES[one].needs == "classes")
            raise UserError(f"{name} needs the class of each example, and nobody says it here")
        self.n += next(iter(xs.values())).n
        self.rows, self.columns = self.rows or tuple(xs), self.columns or tuple(ys)
        for key, kept in self._kept.items():
            x, y = ({s: folded.made[key] for s, folded in side.items()} for side in (xs, ys))
            if isinstance(kept, Grams):
                kept.add(x, y)
            elif isinstance(kept, LayerReservoir):
                kept.update(x, y, inputs)
            elif key[0] == "classes":
                kept.update(x, y, where_float64_is(labels))
            else:
                kept.update(x, y)
        return self

    def all_reduce(self) -> "LayerSimilarities":
        """Become what all processes have seen together, on each of them; returns self.

        Raises:
            NotImplementedError: unless each pair is summed by itself.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            return self
        if self._shared_up_to > 0 or self.block is not None:
            raise NotImplementedError(
                "processes add up what is summed pair by pair: block=None, shared_up_to=0"
            )
        everyone: list[Any] = [None] * distributed.get_world_size()
        mine = self.n, self.flattenings, self.rows, self.columns
        distributed.all_gather_object(everyone, mine)
        self.n = sum(n for n, *_ in everyone)
        self.flattenings = next((known for n, known, *_ in everyone if n), self.flattenings)
        rows, columns = next(([*names] for n, _, *names in everyone if n), ((), ()))
        if rows and not self.rows:
            self.rows, self.columns = rows, columns
            self._start(dict.fromkeys(self.flattenings.values(), math.inf))
        for kept in self._kept.values():
            kept.all_reduce()
        return self

    def pair(self, measure: str, row: str, column: str) -> Any:
        """What a measure takes of two layers: `Moments`, `Folds`, `WithinClasses` or a `Reservoir`.

        Raises:
            UserError: if there are no examples, or NaN or Inf in a layer; if it is made from Grams.
        """
        kept = self._kept_for(measure)
        if isinstance(kept, Grams):
            raise UserError(f"{measure} is made from Gram matrices of all layers; take `values`")
        return kept.pair(row, column)

    def value(self, measure: str, row: str, column: str) -> Tensor:  # ()
        """A measure of two layers; NaN with a warning if undefined.

        Raises:
            ShapeError: if the measure cannot compare layers of these shapes.
            UserError: as `pair` does.
        """
        return MEASURES[measure](self.pair(measure, row, column))

    def directions(self, measure: str, row: str, column: str) -> int | None:
        """How many canonical directions a value is a mean over; None for other measures.

        It takes next to nothing after the value, for the measure has counted them.
        """
        count = MEASURES[measure].directions
        return count(self.pair(measure, row, column)) if count else None

    def values(self) -> dict[str, Tensor]:  # (L, M) each, float64
        """Every measure of every pair; NaN, with a warning that names the layers, if undefined.

        Raises:
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
        """
        return {
            name: matrix_of(name, self._kept_for(name), self.rows, self.columns)
            for name in self.flattenings
        }

    def _start(self, units: Mapping[str, float]) -> None:
        for key in dict.fromkeys(map(self._key, self.flattenings)):
            if key not in self._kept and not self._has_whole(key, units):
                self._kept[key] = self._made(*key, units[key[1]] <= self._shared_up_to)

    def _has_whole(self, key: tuple[str, str], units: Mapping[str, float]) -> bool:
        """Whether sums of all examples come out of those of classes, which are kept anyway."""
        kind, flattening = key
        classes = {self._key(name) for name in self.flattenings}
        shared = units[flattening] <= self._shared_up_to
        return kind == "moments" and shared and ("classes", flattening) in classes

    def _made(self, kind: str, flattening: str, shared: bool) -> Any:
        flatten = FLATTENINGS[flattening]
        makers: dict[str, Callable[[], Any]] = {
            "grams": lambda: Grams(self.block or 64),
            "moments": lambda: LayerRows(flatten),
            "folds": lambda: LayerFolds(flatten),
            "classes": lambda: LayerClasses(flatten),
            "examples": lambda: LayerReservoir(self.limit, self.needs_inputs, flatten),
        }
        if not shared:
            makers["moments"] = lambda: EachPair(partial(AdaptiveMoments, flatten))
            makers["folds"] = lambda: EachPair(partial(Folds, flatten=flatten))
            makers["classes"] = lambda: EachPair(partial(ByClass, flatten))
        return makers[kind]()

    def _units(self, xs: Layers, ys: Layers) -> dict[str, float]:
        """Units of the widest layer, by flattening; that takes a look only where it matters."""
        flattenings = set(self.flattenings.values())
        if self._shared_up_to in (0, math.inf):
            return dict.fromkeys(flattenings, self._shared_up_to or math.inf)
        layers = [*xs.values(), *ys.values()]
        return {one: max(FLATTENINGS[one](z[:1]).shape[1] for z in layers) for one in flattenings}

    def _key(self, measure: str) -> tuple[str, str]:
        flattening, row = self.flattenings[measure], MEASURES[measure]
        by_blocks = row.from_grams and self.block is not None and flattening == "per_sample"
        return "grams" if by_blocks else row.kept, flattening

    def _kept_for(self, measure: str) -> Any:
        if not self.rows:
            raise UserError("no examples were given; is the data set empty?")
        kind, flattening = self._key(measure)
        if kind == "moments" and (kind, flattening) not in self._kept:
            return self._kept["classes", flattening].whole
        return self._kept[kind, flattening]


def matrix_of(
    measure: str, kept: Any, rows: Sequence[str], columns: Sequence[str]
) -> Tensor:  # (L, M), float64
    """A measure of every pair of layers from what is kept of them all.

    Raises:
        UserError: if there are no examples, or NaN or Inf in the layer that is named.
    """
    if isinstance(kept, Grams):
        values = MEASURES[measure].from_grams(kept)
        reasons = {
            "it does not vary, or by rounding only"
            if kept.n
            else "no block held the 4 examples that it needs"
        }
    else:
        values, reasons = every_pair(measure, kept.pair, rows, columns)
    warn_undefined(measure, values, rows, columns, reasons)
    return values


def _at_least_single(z: Tensor) -> Tensor:
    """Half precision as float32: means over places are not to be rounded to it."""
    return z.float() if z.dtype in (torch.float16, torch.bfloat16) else z


def _own(row: Measure, grams: bool) -> Sequence[str]:
    """Flattenings, the one that suits best first."""
    return row.flattenings


def _fitting_any_grid(row: Measure, grams: bool) -> Sequence[str]:
    fitting = [flat for flat in row.flattenings if flat != "per_location"]
    if row.kept == "examples" or (row.from_grams and grams):
        return fitting
    return sorted(fitting, key=lambda flat: flat != "pooled")
