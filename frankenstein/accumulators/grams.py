"""The Gram side of one pass: all pairs of layers where features outnumber what sums can hold."""

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.shapes import Layers, per_sample, same_examples

_PART = 2**17  # numbers of a representation that are worked on at once


class Grams:
    """Unbiased linear HSIC of every layer of one network with every layer of another.

    Examples are taken in blocks, in the order they come, which must not follow what they are: where
    they lie class by class, a block holds one class. Per block of n, each layer has one n x n Gram
    matrix, and all of them, as rows, meet in one matrix product. Blocks add up before any ratio is
    taken, so memory and time grow with the number of layers, not of pairs or examples.

    The sums are unbiased for a block of any size. A larger one costs more per example, in
    proportion, and spreads less (benchmarks/similarity.py --spread shows by how much). Blocks of
    fewer than four examples cannot be estimated from and are left out.

    Source: Nguyen et al. 2021, https://arxiv.org/abs/2010.15327, eq. 3; Song et al. 2012, eq. 5,
    https://jmlr.org/papers/v13/song12a.html.
    """

    def __init__(self, block: int = 64) -> None:
        if block < 4:
            raise UserError(f"a block holds 4 examples or more, got {block}")
        self.block = block
        self.n = self.seen = 0  # examples that entered, and all
        self.cross = torch.zeros(())  # (L, M) Σ over blocks of n (n - 3) HSIC(x, y)
        self.own_x = torch.zeros(())  # (L,) the same with itself
        self.own_y = torch.zeros(())  # (M,)
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()
        self._scales: list[list[Tensor]] = []

    @classmethod
    def of_sums(
        cls,
        rows: tuple[str, ...],
        columns: tuple[str, ...],
        n: int,
        cross: Tensor,
        own_x: Tensor,
        own_y: Tensor,
    ) -> "Grams":
        """Grams from sums that were made elsewhere."""
        grams = cls()
        grams.rows, grams.columns, grams.n, grams.seen = rows, columns, n, 1
        grams.cross, grams.own_x, grams.own_y = cross, own_x, own_y
        return grams

    @torch.no_grad()
    def update(self, xs: Layers, ys: Layers) -> "Grams":
        """Add a batch, block by block; a batch ends its last block. Returns self.

        Raises:
            ShapeError: if the layers hold different numbers of examples.
            UserError: if these are other layers than before.
        """
        self._same_layers(tuple(xs), tuple(ys))
        sides = [[_rows(z) for z in layers.values()] for layers in (xs, ys)]
        first = sides[0][0]
        for rows in (*sides[0], *sides[1]):
            same_examples(first, rows)
        self.seen += len(first)
        if len(first) and not self.n:
            zeros = torch.zeros(len(xs), len(ys), dtype=torch.float64, device=first.device)
            self.cross, self.own_x, self.own_y = zeros, zeros[:, 0], zeros[0]
        if len(first) >= 4 and not self._scales:
            self._scales = [[_scale(rows) for rows in side] for side in sides]
        # Not under autocast, whose products have three digits.
        with torch.autocast(first.device.type, enabled=False):
            for start in range(0, len(first), self.block):
                block = slice(start, start + self.block)
                if len(first[block]) >= 4:
                    self._add([[rows[block] for rows in side] for side in sides])
        return self

    def merge(self, other: "Grams") -> "Grams":
        """Add the sums of `other`; returns self."""
        self._same_layers(other.rows, other.columns)
        self.n, self.seen = self.n + other.n, self.seen + other.seen
        self.cross = self.cross + other.cross
        self.own_x = self.own_x + other.own_x
        self.own_y = self.own_y + other.own_y
        return self

    def unbiased_cka(self) -> Tensor:  # (L, M)
        """Unbiased CKA of every pair; NaN where a layer does not vary, or no block held four.

        Raises:
            UserError: if there were no examples, or a block held NaN or Inf.
        """
        if not self.seen:
            raise UserError("no examples were given; is the data set empty?")
        sides = ((self.own_x, self.rows, "first"), (self.own_y, self.columns, "second"))
        for own, names, side in sides:
            if bad := (~own.isfinite()).nonzero().flatten().tolist():
                raise UserError(f"NaN or Inf in the {side} representation, {names[bad[0]]!r}")
        norms = torch.outer(self.own_x.sqrt(), self.own_y.sqrt())
        return torch.where(norms > 0, self.cross / norms, torch.nan).clamp(-1, 1)

    def _same_layers(self, rows: tuple[str, ...], columns: tuple[str, ...]) -> None:
        if self.rows and (rows, columns) != (self.rows, self.columns):
            raise UserError("every batch holds the same layers in the same order; start new Grams")
        self.rows, self.columns = rows, columns

    def _add(self, sides: list[list[Tensor]]) -> None:
        """Add a block: every layer's rows."""
        n = len(sides[0][0])
        (x, own_x), (y, own_y) = (
            _terms(side, scales) for side, scales in zip(sides, self._scales, strict=True)
        )
        size_x, size_y = (torch.stack(scales).double().pow(-2) for scales in self._scales)
        dead = (own_x == 0)[:, None] | (own_y == 0)
        cross = sum(w * a @ b.T for w, a, b in zip(_weights(n), x, y, strict=True))
        self.n += n
        self.cross = self.cross + torch.where(dead, 0, cross) * torch.outer(size_x, size_y)
        self.own_x = self.own_x + own_x * size_x.square()
        self.own_y = self.own_y + own_y * size_y.square()


Terms = tuple[Tensor, Tensor, Tensor]  # (L, n·n) cells, (L, n) row sums, (L, 1) whole sums


def _terms(side: list[Tensor], scales: list[Tensor]) -> tuple[Terms, Tensor]:
    """What unbiased HSIC takes of Gram matrices without diagonals, and that of each with itself."""
    grams = torch.stack([_gram(rows, scale) for rows, scale in zip(side, scales, strict=True)])
    size = torch.linalg.vector_norm(grams, dim=(1, 2))
    grams.diagonal(dim1=1, dim2=2).zero_()
    sums = grams.sum(2)
    terms = grams.flatten(1), sums, sums.sum(1, keepdim=True)
    weights = _weights(grams.shape[1])
    own = sum(w * torch.linalg.vecdot(a, a) for w, a in zip(weights, terms, strict=True))
    # As for one-hot rows, or a unit that fires once: all that is left is float32's rounding.
    return terms, torch.where(own <= (1e-6 * size).square(), 0, own)


def _weights(n: int) -> tuple[float, float, float]:
    return 1.0, -2 / (n - 2), 1 / ((n - 1) * (n - 2))


def _gram(
    rows: Tensor,  # (n, D)
    scale: Tensor,  # ()
) -> Tensor:  # (n, n), float64
    """Products of centred rows, summed up in float64 over parts that stay in a CPU's cache."""
    rows = rows.to(scale.dtype)
    mean = rows.new_full((1, len(rows)), 1 / len(rows))  # times rows
    width = max(1, _PART // len(rows)) if rows.device.type == "cpu" else rows.shape[1]
    room = torch.empty_like(rows[:, :width])
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for part in rows.split(width, 1):
        # Centred first: taken out of the products, a common offset would take digits with it. What
        # rounding leaves of it, as of anything that is taken off all rows, unbiased HSIC ignores.
        centred = torch.sub(part, mean @ part, out=room[:, : part.shape[1]]).mul_(scale)
        total += centred @ centred.T
    return total


def _rows(
    z: Tensor,  # (n, ...)
) -> Tensor:  # (n, D)
    """Units and places in the order in which they lie in memory: products do not feel it."""
    if z.ndim == 4 and not z.is_contiguous():
        z = z.permute(0, 2, 3, 1)  # channels-last memory, and then no copy is needed
    return per_sample(z)


def _scale(rows: Tensor) -> Tensor:  # ()
    """A power of 2 a layer, of its first batch, that keeps float32 products from underflowing."""
    low, high = rows.aminmax()
    size = torch.maximum(high, -low)
    size = size if rows.dtype == torch.float64 else size.float()
    return torch.exp2(-torch.where(size > 0, size, 1.0).log2().round().clamp(min=-126))
