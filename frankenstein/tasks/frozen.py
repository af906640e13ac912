"""Networks that a task reads and never changes."""

from typing import Self

from torch import nn


class Frozen(nn.ModuleList):
    """Modules that stay in evaluation mode: the statistics of a frozen half would drift."""

    def train(self, mode: bool = True) -> Self:
        """Stay as they are, whoever calls."""
        return super().train(False)
