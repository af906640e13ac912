"""A measure between two representations, as a metric."""

from typing import Any

from torch import Tensor

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.catalog import MEASURES, find_measure
from frankenstein.errors import UserError
from frankenstein.metrics.packed import Packed, pack_moments, unpack_moments
from frankenstein.shapes import FLATTENINGS

_SIDES = ("x",), ("y",)


class Similarity(Packed):
    """A measure, by name, of two representations over all batches and processes.

    Exact over the whole data: sums are kept, not values of batches. It takes the measures
    that follow from sums, such as unbiased_cka, linear_cka or mean_cca. Sums are in float64.

    >>> import torch
    >>> metric = Similarity("linear_cka")
    >>> x = torch.randn(50, 3)
    >>> metric.update(x, 2 * x + 1)
    >>> metric.compute().round(decimals=4)
    tensor(1., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = None  # of distances, it is not

    def __init__(self, measure: str, flattening: str | None = None, **options: Any) -> None:
        """Take a measure and a flattening, which is the measure's first unless one is named.

        Options are those of `torchmetrics.Metric`.

        Raises:
            UserError: for an unknown measure or flattening, or a measure that needs examples.
        """
        super().__init__(**options)
        self.flattening = checked(measure, flattening)
        self.measure = measure
        self._keeps(self.flattening)

    def update(self, x: Tensor, y: Tensor) -> None:
        """Add a batch of both representations (N, ...)."""
        kept = self._kept() or LayerMoments(FLATTENINGS[self.flattening])
        self.sums = [pack_moments(kept.update({"x": x}, {"y": y}))] if len(x) else self.sums

    def compute(self) -> Tensor:  # ()
        """The measure over everything so far; NaN with a warning where it is not defined.

        Raises:
            UserError: if there were no examples, or NaN or Inf among them.
        """
        kept = self._kept() or LayerMoments()
        return MEASURES[self.measure](kept.pair("x", "y"))

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """The value, or several in a row, as torchmetrics plots them: figure and axes."""
        return self._plot(val, ax)

    def _unpacked(self, flat: Tensor) -> LayerMoments | None:
        return unpack_moments(flat, *_SIDES, FLATTENINGS[self.flattening])


def checked(measure: str, flattening: str | None) -> str:
    """The flattening of a measure that follows from sums.

    Raises:
        UserError: for an unknown measure or flattening, or a measure that needs examples.
    """
    row = find_measure(measure)  # what it needs is told before how it flattens
    if row.needs != "moments":
        sums = ", ".join(name for name, other in MEASURES.items() if other.needs == "moments")
        raise UserError(f"{measure} does not follow from sums over batches; these do: {sums}")
    find_measure(measure, flattening)
    return flattening or row.flattenings[0]
