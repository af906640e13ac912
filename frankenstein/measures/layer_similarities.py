"""Any measures by name, of every layer of one network with every layer of another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.layer_folds import LayerFolds
from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.catalog import MEASURES, find_measure
from frankenstein.errors import UserError
from frankenstein.measures.every_pair import every_pair, warn_undefined
from frankenstein.shapes import FLATTENINGS

Layers = Mapping[str, Tensor]  # representations (N, ...) of the same examples, by layer


class LayerSimilarities:
    """Keeps of all layers what the named measures need, each once, in one pass.

    Unbiased CKA per sample comes from Gram matrices of `block` examples each (see `Grams`); other
    measures of sums from one matrix product a batch (`LayerMoments`); the rest from at most
    `limit` kept examples. Memory does not grow with the number of examples.
    """

    def __init__(
        self,
        measures: Sequence[str],
        flattening: str | None = None,
        block: int = 64,
        limit: int = 2000,
    ) -> None:
        """Start empty; unless a flattening is named, each measure takes one that fits all layers.

        That is per_sample for unbiased CKA and measures of kept examples, else pooled: places
        cannot be told apart where layers lie on different grids.

        Raises:
            UserError: for an unknown measure, or a flattening that makes no sense of one.
        """
        measures = [measures] if isinstance(measures, str) else measures
        self.flattenings = {name: _flattening(name, flattening) for name in measures}
        self.needs_inputs = any(MEASURES[name].needs == "inputs" for name in measures)
        makers: dict[str, Callable[[str], Any]] = {
            "grams": lambda _: Grams(block),
            "moments": lambda flat: LayerMoments(FLATTENINGS[flat]),
            "folds": lambda flat: LayerFolds(FLATTENINGS[flat]),
            "examples": lambda flat: LayerReservoir(limit, self.needs_inputs, FLATTENINGS[flat]),
        }
        self._kept: dict[tuple[str, str], Any] = {}
        for name, flat in self.flattenings.items():
            key = _kind(name, flat), flat
            if key not in self._kept:
                self._kept[key] = makers[key[0]](flat)
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()

    def kind(self, measure: str) -> str:
        """What a measure is made from: "grams", "moments", "folds" or "examples"."""
        return _kind(measure, self.flattenings[measure])

    @property
    def grams(self) -> Grams | None:
        """What unbiased CKA per sample is made from, if it is asked for."""
        return self._kept.get(("grams", "per_sample"))

    def update(self, xs: Layers, ys: Layers, inputs: Tensor | None = None) -> "LayerSimilarities":
        """Add a batch of all layers, and what they are made of if it is needed; returns self."""
        self.rows, self.columns = tuple(xs), tuple(ys)
        if any(kind != "grams" for kind, _ in self._kept):
            xs, ys = _whole(xs), _whole(ys)
        for kept in self._kept.values():
            if isinstance(kept, LayerReservoir):
                kept.update(xs, ys, inputs)
            else:
                kept.update(xs, ys)
        return self

    def values(self) -> dict[str, Tensor]:  # (L, M) each, float64
        """Every measure of every pair; NaN, with a warning that names the layers, if undefined.

        Raises:
            UserError: if there are no examples, or NaN or Inf in the layer that is named.
        """
        if not self.rows:
            raise UserError("no examples were given; is the data set empty?")
        found = {}
        for name, flat in self.flattenings.items():
            kept = self._kept[_kind(name, flat), flat]
            if isinstance(kept, Grams):
                found[name] = kept.unbiased_cka()
                reasons = {"it does not vary, or by rounding only"}
            else:
                found[name], reasons = every_pair(name, kept.pair, self.rows, self.columns)
            warn_undefined(name, found[name], self.rows, self.columns, reasons)
        return found


def _whole(layers: Layers) -> Layers:
    """Half precision as float32: means over places are not to be rounded to it."""
    halves = (torch.float16, torch.bfloat16)
    return {s: z.float() if z.dtype in halves else z for s, z in layers.items()}


def _kind(name: str, flattening: str) -> str:
    if name == "unbiased_cka" and flattening == "per_sample":
        return "grams"
    return MEASURES[name].kept


def _flattening(name: str, wanted: str | None) -> str:
    row = find_measure(name, wanted)
    if wanted is not None:
        return wanted
    if name == "unbiased_cka":
        return "per_sample"
    fitting = [flat for flat in row.flattenings if flat != "per_location"]
    return "pooled" if row.kept != "examples" and "pooled" in fitting else fitting[0]
