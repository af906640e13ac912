"""A measure of all pairs of layers, as a metric."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.errors import UserError
from frankenstein.measures.layer_similarities import LayerSimilarities, matrix_of
from frankenstein.metrics.packed import (
    Packed,
    pack_grams,
    pack_moments,
    unpack_grams,
    unpack_moments,
)
from frankenstein.metrics.similarity import checked
from frankenstein.report import heatmap
from frankenstein.shapes import FLATTENINGS, layers_of


class SimilarityMatrix(Packed):
    """A measure, by name, of every layer of one side with every layer of the other.

    Unbiased CKA flattens per sample unless told otherwise, and comes from Gram matrices of `block`
    examples within a batch (see `Grams`); everything else is exact over the whole data and pools
    over places (see `LayerMoments`). Sums are in float64.

    >>> import torch
    >>> metric = SimilarityMatrix("unbiased_cka", ["bn1", "bn2"], ["fc"])
    >>> xs = {"bn1": torch.randn(9, 4), "bn2": torch.randn(9, 5)}
    >>> metric.update(xs, {"fc": torch.randn(9, 3)})
    >>> metric.compute().shape
    torch.Size([2, 1])
    """

    is_differentiable = False
    higher_is_better = None

    def __init__(
        self,
        measure: str,
        rows: Sequence[str],
        columns: Sequence[str],
        flattening: str | None = None,
        block: int = 64,
        **options: Any,
    ) -> None:
        """Take a measure and the layers of both sides; options are those of torchmetrics' Metric.

        Raises:
            UserError: for an unknown measure or flattening, a measure that needs examples, or
                layers that are none or not each another.
        """
        super().__init__(**options)
        one = LayerSimilarities([measure], flattening, block)
        self.flattening = checked(measure, one.flattenings[measure])
        self.measure, self.rows, self.columns = measure, _names(rows), _names(columns)
        self.block = block
        self.from_grams = one.kind(measure) == "grams"
        block_kept = block if self.from_grams else None
        self._keeps(self.flattening, block_kept, self.rows, self.columns)

    def update(self, xs: Mapping[str, Tensor], ys: Mapping[str, Tensor]) -> None:
        """Add a batch of representations (N, ...) by layer; more layers may be there.

        Raises:
            UserError: if a layer is missing.
        """
        xs, ys = layers_of(xs), layers_of(ys)
        for layers, wanted in ((xs, self.rows), (ys, self.columns)):
            if missing := [name for name in wanted if name not in layers]:
                raise UserError(f"update needs the layer {missing[0]!r}, got {list(layers)}")
        xs = {name: xs[name].detach() for name in self.rows}
        ys = {name: ys[name].detach() for name in self.columns}
        if self.from_grams:
            new = Grams(self.block).update(xs, ys)
            kept = self._kept()
            if new.seen:
                self.sums = [pack_grams(kept.merge(new) if kept else new)]
        elif len(next(iter(xs.values()))):
            moments = self._kept() or LayerMoments(FLATTENINGS[self.flattening])
            self.sums = [pack_moments(moments.update(xs, ys))]

    def compute(self) -> Tensor:  # (L, M), but () of one pair: torchmetrics makes it a scalar
        """The matrix over everything so far; NaN, with a warning that names the layers.

        Raises:
            UserError: if there were no examples, or NaN or Inf in the layer that is named.
        """
        kept = self._kept() or (Grams() if self.from_grams else LayerMoments())
        return matrix_of(self.measure, kept, self.rows, self.columns)

    def plot(self, val: Tensor | None = None) -> tuple[Figure, Axes]:
        """A heatmap of the matrix, or of one that `compute` or `forward` gave."""
        values = (self.compute() if val is None else val).view(len(self.rows), len(self.columns))
        title = f"{self.measure}, {self.flattening}"
        figure = heatmap(values, self.rows, self.columns, title=title)
        return figure, figure.axes[0]

    def _unpacked(self, flat: Tensor) -> Any:
        if self.from_grams:
            return unpack_grams(flat, self.rows, self.columns)
        return unpack_moments(flat, self.rows, self.columns, FLATTENINGS[self.flattening])


def _names(layers: Sequence[str]) -> tuple[str, ...]:
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    if not names or len(set(names)) < len(names):
        raise UserError(f"each side has one layer or more, each once, got {list(names)}")
    return names
