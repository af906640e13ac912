"""Means over held-out examples, counted over batches and processes."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from frankenstein.labels import hits


class Accuracy(Metric):
    """Accuracy in [0, 1], exact for any number of examples; of several labels per image the mean.

    torchmetrics' own must be told beforehand which of the two it is, and how many classes there
    are; its MeanMetric counts in float32 and cannot go on in training after a validation.
    """

    right: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("right", "total"):
            self.add_state(name, torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        logits: Tensor,  # (N, L)
        labels: Tensor,  # (N,) int64, or (N, L) float
    ) -> None:
        """Count a batch."""
        right = hits(logits, labels)
        self.right = self.right + right.sum()
        self.total = self.total + right.numel()

    def compute(self) -> Tensor:  # ()
        """The accuracy of all batches."""
        return self.right / self.total


class Mean(Metric):
    """Mean over examples, exact for batches and shares of any sizes.

    Lightning's own logging halves an odd number of examples to a whole one where two processes
    share it: 501 examples give a loss that is 0.2 % too large. Sums are in float64, and in float32
    on a device that has none (mps).
    """

    total: Tensor
    examples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("examples", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        mean: Tensor,  # (), of a batch
        examples: int,
    ) -> None:
        """Count a batch."""
        self.total = self.total + mean.detach().to(self.total.dtype) * examples
        self.examples = self.examples + examples

    def compute(self) -> Tensor:  # ()
        """The mean over all examples."""
        return (self.total / self.examples).float()

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> nn.Module:
        """Moves the state, as modules call it, in float32 where float64 cannot go."""
        try:
            fn(self.total)
        except TypeError:
            self.total = self.total.float()
            self._defaults["total"] = self.total.new_zeros(())
        return super()._apply(fn, *args, **kwargs)
