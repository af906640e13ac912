"""What is kept of a stream of examples: where units are largest, and a histogram."""

import torch
from torch import Tensor

from frankenstein.errors import UserError

_DIGITS = 20  # bins are no finer than 2^-20 of the largest number: float32 counts them exactly


class TopExamples:
    """The k largest values of every unit so far, and where in the stream they were."""

    def __init__(self, k: int = 8) -> None:
        """Start empty."""
        self.k, self.seen = k, 0
        self.values: Tensor | None = None  # (C, k), largest first; fewer where few were seen
        self.rows: Tensor | None = None  # (C, k), int64: 0 is the first example of all

    @torch.no_grad()
    def update(
        self,
        values: Tensor,  # (N, C)
    ) -> None:
        """Add a batch of examples."""
        values = values.detach().T
        rows = torch.arange(self.seen, self.seen + values.shape[1], device=values.device)
        rows = rows.expand(len(values), -1)
        self.seen += values.shape[1]
        if self.values is not None and self.rows is not None:
            values = torch.cat([self.values, values], 1)
            rows = torch.cat([self.rows, rows], 1)
        # Stable, so that of equal values the first to come is kept, however batches are cut.
        order = values.sort(dim=1, descending=True, stable=True).indices[:, : self.k]
        self.values, self.rows = values.gather(1, order), rows.gather(1, order)


class Histogram:
    """Counts in bins of width 2^k, whose edges are whole multiples of it.

    k grows with the range, when two bins become one, so that the bins do not depend on how the
    numbers came in batches. Memory is a row of counts; nothing waits for the device.
    """

    def __init__(self, bins: int = 256) -> None:
        """Start empty; at the end about half to all of the bins span the range."""
        self.bins = bins
        self._counts: Tensor | None = None

    @torch.no_grad()
    def update(self, values: Tensor) -> "Histogram":
        """Add numbers of any shape; returns self."""
        values = values.detach().flatten()
        if not len(values):
            return self
        low, high = (edge.double() for edge in values.aminmax())
        if self._counts is None:
            self._counts = torch.zeros(self.bins, dtype=torch.int64, device=values.device)
            self._low, self._high = low, high
            self._exponent, self._first = self._bins_of(low, high)
        low, high = torch.minimum(self._low, low), torch.maximum(self._high, high)
        exponent, first = self._bins_of(low, high)
        was = torch.arange(self.bins, device=values.device) + self._first
        now = (was >> (exponent - self._exponent)) - first
        counts = torch.zeros_like(self._counts)
        counts.index_add_(0, now.clamp(0, self.bins - 1), self._counts)
        place = (values * torch.exp2(-exponent.to(values))).floor_().to(torch.int64).sub_(first)
        # A number that is not finite has no place; `result` refuses it.
        place.clamp_(0, self.bins - 1)
        self._counts = counts + torch.bincount(place, minlength=self.bins)
        self._low, self._high, self._exponent, self._first = low, high, exponent, first
        return self

    def result(self) -> tuple[Tensor, Tensor]:  # (B,) int64, (B + 1,) float64
        """Counts and edges, from the bin of the smallest number to that of the largest.

        Raises:
            UserError: if there were none, or NaN or Inf among them.
        """
        if self._counts is None:
            raise UserError("a histogram needs at least one number, got none")
        if not (self._low.isfinite() and self._high.isfinite()):
            raise UserError("there are NaN or Inf among the numbers; look for where they begin")
        kept = self._counts.nonzero()
        first, last = int(kept.min()), int(kept.max())
        width = torch.exp2(self._exponent.double())
        numbers = torch.arange(first, last + 2, dtype=torch.float64, device=self._counts.device)
        return self._counts[first : last + 1], (numbers + self._first) * width

    def _bins_of(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """k of the narrowest bins that reach from low to high, and the number of the first."""
        span = torch.where(high > low, (high - low) / (self.bins - 1), 0.0)
        narrowest = torch.maximum(low.abs(), high.abs()).frexp().exponent - _DIGITS
        exponent = torch.where(span > 0, span.frexp().exponent, narrowest)
        exponent = torch.maximum(exponent, narrowest).to(torch.int64)
        return exponent, (low * torch.exp2(-exponent.double())).floor().to(torch.int64)
