"""The Gram side of one pass: all pairs of layers where features outnumber what sums can hold."""

from collections.abc import Sequence

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.shapes import per_sample, same_examples


class Grams:
    """Unbiased linear HSIC of every layer of one network with every layer of another.

    Per block of n examples, each layer's n x n Gram matrix is centred so that its diagonal does
    not count; all of them, as rows, meet in one matrix product. Blocks add up before any ratio
    is taken, so memory and time grow with the number of layers, not of pairs, examples or features.
    Blocks of fewer than four examples cannot be estimated from and are left out.

    Source: Nguyen et al. 2021, https://arxiv.org/abs/2010.15327; the centring is that of
    Székely & Rizzo 2014, https://arxiv.org/abs/1310.2926: its inner product is Song's HSIC.
    """

    def __init__(self) -> None:
        self.n = 0  # examples that entered
        self.cross = torch.zeros(())  # (L, M) Σ over blocks of n (n - 3) HSIC(x, y)
        self.own_x = torch.zeros(())  # (L,) the same with itself
        self.own_y = torch.zeros(())  # (M,)
        self._scales: list[list[Tensor]] = []

    def update(self, xs: Sequence[Tensor], ys: Sequence[Tensor]) -> "Grams":
        """Add a block: every layer's representation (n, ...) of the same examples; returns self.

        Raises:
            ShapeError: if the layers hold different numbers of examples.
        """
        n = len(xs[0])
        for z in (*xs, *ys):
            same_examples(xs[0], z)
        if n < 4:
            return self
        if self.n == 0:
            self._scales = [[_scale(z) for z in side] for side in (xs, ys)]
            self.cross = self.own_x = self.own_y = torch.zeros((), device=xs[0].device)
        rows_x, rows_y = (
            torch.stack([_centred_gram(z, s) for z, s in zip(side, scales, strict=True)])
            for side, scales in zip((xs, ys), self._scales, strict=True)
        )
        self.n += n
        self.cross = self.cross + rows_x @ rows_y.T
        self.own_x = self.own_x + rows_x.square().sum(1)
        self.own_y = self.own_y + rows_y.square().sum(1)
        return self

    def unbiased_cka(self) -> Tensor:  # (L, M)
        """Unbiased CKA of every pair; NaN where a layer does not vary.

        Raises:
            UserError: if no block had four examples, or one held NaN or Inf.
        """
        if self.n == 0:
            raise UserError("no block held four examples or more; give larger batches")
        for own, name in ((self.own_x, "first"), (self.own_y, "second")):
            if bad := (~own.isfinite()).nonzero().flatten().tolist():
                raise UserError(f"NaN or Inf in the {name} network's layer number {bad[0]}")
        norms = (self.own_x[:, None] * self.own_y).sqrt()
        return torch.where(norms > 0, self.cross / norms, torch.nan).clamp(-1, 1)


def _scale(z: Tensor) -> Tensor:  # ()
    """One number a layer, of its first block, that keeps float32 products from underflowing."""
    size = _centred(z).abs().amax()
    return torch.where(size > 0, size, 1.0).reciprocal()


def _centred(
    z: Tensor,  # (n, ...)
) -> Tensor:  # (n, D)
    rows = per_sample(z)
    if rows.dtype in (torch.float16, torch.bfloat16):
        rows = rows.float()
    rows = rows - rows[0]  # so that a unit that does not vary is 0, where its mean may be rounded
    return rows - rows.mean(0)


def _centred_gram(
    z: Tensor,  # (n, ...)
    scale: Tensor,  # ()
) -> Tensor:  # (n·n,)
    rows = _centred(z) * scale
    gram = (rows @ rows.T).double()
    n, size = len(gram), gram.norm()
    gram.fill_diagonal_(0)
    means = gram.sum(0) / (n - 2)
    gram = gram - means - means[:, None] + means.sum() / (n - 1)
    gram = gram.fill_diagonal_(0).flatten()
    # As for one-hot rows, or a unit that fires once: all that is left is float32's rounding.
    return torch.where(gram.norm() <= 1e-6 * size, 0, gram)
