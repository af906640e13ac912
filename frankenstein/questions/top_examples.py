"""Which examples activate each unit most, from a stream of them."""

import torch
from torch import Tensor


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
