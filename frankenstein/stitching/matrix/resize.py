"""A bilinear resize as the two matrices that it is, so that its sums can be taken elsewhere."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Resize(nn.Module):
    """(N, C, H, W) to (N, C, H', W') by a matrix over rows of places and one over columns.

    What `surgery.layouts` does to maps, up to float32's rounding; faster on a CPU where it narrows.
    """

    rows: Tensor  # (H', H)
    columns: Tensor  # (W', W)

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("columns", columns)

    @classmethod
    def between(cls, source: tuple[int, ...], target: tuple[int, ...]) -> "Resize":
        """From one grid to another, as `interpolate` with antialiasing."""
        return cls(*map(_weights, source, target))

    @property
    def adjoint(self) -> "Resize":
        """Aᵀ."""
        return Resize(self.rows.T, self.columns.T)

    @property
    def gram(self) -> "Resize":
        """AᵀA."""
        return Resize(self.rows.T @ self.rows, self.columns.T @ self.columns)

    def forward(self, z: Tensor) -> Tensor:
        """The map on the other grid, channels-last in memory."""
        rows, columns = self.rows.to(z.dtype), self.columns.to(z.dtype)
        n, c, h, w = z.shape
        z = torch.matmul(rows, z.movedim(1, -1).reshape(n, h, w * c)).view(n * len(rows), w, c)
        return torch.matmul(columns, z).view(n, len(rows), len(columns), c).movedim(-1, 1)

    def places(
        self,
        z: Tensor,  # (H, W, N, C)
    ) -> Tensor:  # (H', W', N, C)
        """The same with places first, which makes a few large products of many small ones."""
        h, w, n, c = z.shape
        z = (self.rows.to(z.dtype) @ z.reshape(h, w * n * c)).view(-1, w, n * c)
        return torch.matmul(self.columns.to(z.dtype), z).unflatten(2, (n, c))


def _weights(source: int, target: int) -> Tensor:  # (target, source)
    unit = torch.eye(source, dtype=torch.float64)[None, None]
    size = (target, source)
    return functional.interpolate(unit, size, mode="bilinear", antialias=True)[0, 0]
