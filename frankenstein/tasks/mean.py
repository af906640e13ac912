"""The mean of a loss over examples, counted over batches and processes."""

import torch
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """Mean over examples, exact for batches and shares of any sizes.

    Lightning's own logging halves an odd number of examples to a whole one where two processes
    share it: 501 examples give a loss that is 0.2 % too large.
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
        self.total = self.total + mean.detach().double() * examples
        self.examples = self.examples + examples

    def compute(self) -> Tensor:  # ()
        """The mean over all examples."""
        return (self.total / self.examples).float()
