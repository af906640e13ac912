"""The Gram side of one pass: all pairs of layers where features outnumber what sums can hold."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.shapes import (
    Layers,
    different_examples,
    per_sample,
    same_examples,
    where_float64_is,
)

_PART = 2**18  # numbers of a representation that are worked on at once
_USUAL = 20  # powers of 2, up and down, that float32's products hold as they are
_LEAST = 4  # examples of a block from which unbiased HSIC can be estimated
_MANY, _LARGE = 20, 2**15  # rows, and numbers, from which oneDNN is the faster one
# What torch's own compiler calls for a linear layer, where torch is built with oneDNN.
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None)


class LayerGrams(NamedTuple):
    """What is kept of a batch of one layer, which then may be let go."""

    n: int  # examples, those of blocks that are too small included
    blocks: list[Tensor]  # (n, n) float64: products of its rows, centred and scaled
    scale: Tensor  # ()


class Grams:
    """Unbiased linear HSIC of every layer of one network with every layer of another.

    Examples are taken in blocks, in the order they come, which must not follow what they are: where
    they lie class by class, a block holds one class. Per block of n, each layer has one n x n Gram
    matrix, and all of them, as rows, meet in one matrix product. Blocks add up before any ratio is
    taken, so memory and time grow with the number of layers, not of pairs or examples.

    The sums are unbiased for a block of any size. A larger one costs more per example, in
    proportion, and spreads less (benchmarks/similarity.py --spread shows by how much). Blocks of
    fewer than four examples cannot be estimated from and are left out.

    A batch enters by `update`, or layer by layer: `fold` as soon as a layer is there, and `add`.

    Source: Nguyen et al. 2021, https://arxiv.org/abs/2010.15327, eq. 3; Song et al. 2012, eq. 5,
    https://jmlr.org/papers/v13/song12a.html.
    """

    def __init__(self, block: int = 64) -> None:
        if block < _LEAST:
            raise UserError(f"a block holds 4 examples or more, got {block}")
        self.block = block
        self.n = self.seen = 0  # examples that entered, and all
        self.cross = torch.zeros(())  # (L, M) Σ over blocks of n (n - 3) HSIC(x, y)
        self.own_x = torch.zeros(())  # (L,) the same with itself
        self.own_y = torch.zeros(())  # (M,)
        self.rows: tuple[str, ...] = ()
        self.columns: tuple[str, ...] = ()
        self._scales: dict[tuple[str, str], Tensor] = {}  # by side and layer

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

    def update(self, xs: Layers, ys: Layers) -> "Grams":
        """Add a batch, block by block; a batch ends its last block. Returns self.

        Raises:
            ShapeError: if the layers hold different numbers of examples.
            UserError: if these are other layers than before.
        """
        first, *rest = (*xs.values(), *ys.values())
        for z in rest:
            same_examples(first, z)
        return self.add(
            {s: self.fold("x", s, z) for s, z in xs.items()},
            {s: self.fold("y", s, z) for s, z in ys.items()},
        )

    @torch.no_grad()
    def fold(self, side: Literal["x", "y"], layer: str, z: Tensor) -> LayerGrams:
        """The Gram matrices of a batch (n, ...) of one layer of the first or the second network."""
        rows = _rows(z)
        if len(rows) < _LEAST:
            return LayerGrams(len(rows), [], rows.new_ones(()))
        if (side, layer) not in self._scales:
            self._scales[side, layer] = _scale(rows)
        scale = self._scales[side, layer]
        # Not under autocast, whose products have three digits.
        with torch.autocast(rows.device.type, enabled=False):
            blocks = [
                _gram(block, scale) for block in rows.split(self.block) if len(block) >= _LEAST
            ]
        return LayerGrams(len(rows), blocks, scale)

    @torch.no_grad()
    def add(self, xs: Mapping[str, LayerGrams], ys: Mapping[str, LayerGrams]) -> "Grams":
        """Add a batch of which every layer was folded; returns self.

        Raises:
            UserError: if the layers hold different numbers of examples, or are others than before.
        """
        self._same_layers(tuple(xs), tuple(ys))
        sides = [list(xs.values()), list(ys.values())]
        first = sides[0][0]
        for folded in (*sides[0], *sides[1]):
            if folded.n != first.n:
                raise different_examples(first.n, folded.n)
        self.seen += first.n
        if not self.cross.ndim:
            zeros = torch.zeros(len(xs), len(ys), dtype=torch.float64, device=first.scale.device)
            self.cross, self.own_x, self.own_y = zeros, zeros[:, 0], zeros[0]
        for block in range(len(first.blocks)):
            self._add(*([(one.blocks[block], one.scale) for one in side] for side in sides))
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

    def _add(self, xs: list[tuple[Tensor, Tensor]], ys: list[tuple[Tensor, Tensor]]) -> None:
        """Add a block: the Gram matrix of every layer, and its scale."""
        n = len(xs[0][0])
        (x, own_x, size_x), (y, own_y, size_y) = _terms(xs), _terms(ys)
        dead = (own_x == 0)[:, None] | (own_y == 0)
        cross = sum(w * a @ b.T for w, a, b in zip(_weights(n), x, y, strict=True))
        self.n += n
        self.cross = self.cross + torch.where(dead, 0, cross) * torch.outer(size_x, size_y)
        self.own_x = self.own_x + own_x * size_x.square()
        self.own_y = self.own_y + own_y * size_y.square()


class NetworkGrams:
    """The same for several networks: each layer's Gram matrix is made once, whatever the pairs.

    Of a batch `take` every network's layers, one after another, and then `end` it. Between the two
    there is one n x n matrix a layer, and afterwards one number a pair of layers. Values are those
    of `Grams` of the two networks.
    """

    def __init__(self, block: int = 64) -> None:
        self.block = block
        self.n = self.seen = 0
        self.cross = self.own = torch.zeros(())  # (Σ L, Σ L), (Σ L,): of all layers together
        self.layers: dict[str, tuple[str, ...]] = {}  # by network
        self._folded: dict[str, LayerGrams] = {}  # of a batch

    def take(self, network: str, layers: Mapping[str, LayerGrams]) -> None:
        """The Gram matrices of a network's layers, of every block of a batch (`Grams.fold`).

        Raises:
            UserError: if these are other layers than before.
        """
        if self.layers.setdefault(network, tuple(layers)) != tuple(layers):
            raise UserError("every batch holds the same layers in the same order; start new sums")
        self._folded |= {f"{layer} of {network}": folded for layer, folded in layers.items()}

    @torch.no_grad()
    def end(self) -> None:
        """Add the products of the batch that every network's layers were taken of.

        Raises:
            ShapeError: if layers hold different numbers of examples.
        """
        folded, self._folded = [*self._folded.values()], {}
        for one in folded:
            if one.n != folded[0].n:
                raise different_examples(folded[0].n, one.n)
        self.seen += folded[0].n
        for block in range(len(folded[0].blocks)):
            terms, own, size = _terms([(one.blocks[block], one.scale) for one in folded])
            n, dead = len(folded[0].blocks[block]), (own == 0)[:, None] | (own == 0)
            cross = sum(w * a @ a.T for w, a in zip(_weights(n), terms, strict=True))
            self.n += n
            self.cross = self.cross + torch.where(dead, 0, cross) * torch.outer(size, size)
            self.own = self.own + own * size.square()

    def between(self, one: str, other: str) -> Grams:
        """The sums of a network's layers with another's."""
        rows, columns = self._span(one), self._span(other)
        if not self.n:
            zeros = torch.zeros(len(self.layers[one]), len(self.layers[other]), dtype=torch.float64)
            cross, own_x, own_y = zeros, zeros[:, 0], zeros[0]
        else:
            cross, own_x, own_y = self.cross[rows, columns], self.own[rows], self.own[columns]
        grams = Grams.of_sums(self.layers[one], self.layers[other], self.n, cross, own_x, own_y)
        grams.seen, grams.block = self.seen, self.block
        return grams

    def _span(self, network: str) -> slice:
        start = 0
        for name, layers in self.layers.items():
            if name == network:
                return slice(start, start + len(layers))
            start += len(layers)
        raise KeyError(network)


Terms = tuple[Tensor, Tensor, Tensor]  # (L, n·n) cells, (L, n) row sums, (L, 1) whole sums


def _terms(side: list[tuple[Tensor, Tensor]]) -> tuple[Terms, Tensor, Tensor]:
    """What unbiased HSIC takes of Gram matrices without diagonals, that of each with itself (L,),
    and how many times larger their squares are than without scales (L,).
    """
    blocks, scales = zip(*side, strict=True)
    grams = torch.stack(blocks)
    size = torch.linalg.vector_norm(grams, dim=(1, 2))
    grams.diagonal(dim1=1, dim2=2).zero_()
    sums = grams.sum(2)
    terms = grams.flatten(1), sums, sums.sum(1, keepdim=True)
    weights = _weights(grams.shape[1])
    own = sum(w * torch.linalg.vecdot(a, a) for w, a in zip(weights, terms, strict=True))
    # As for one-hot rows, or a unit that fires once: all that is left is float32's rounding.
    own = torch.where(own <= (1e-6 * size).square(), 0, own)
    return terms, own, torch.stack(scales).double().pow(-2)


def _weights(n: int) -> tuple[float, float, float]:
    return 1.0, -2 / (n - 2), 1 / ((n - 1) * (n - 2))


def _gram(
    rows: Tensor,  # (n, D)
    scale: Tensor,  # ()
) -> Tensor:  # (n, n), float64
    """Products of centred rows, summed up in float64 over parts that stay in a CPU's cache."""
    rows, on_cpu = rows.to(scale.dtype), rows.device.type == "cpu"
    scaled = not (on_cpu and scale == 1)  # a GPU is not waited for
    mean = rows.new_full((1, len(rows)), 1 / len(rows))  # times rows
    width = max(1, _PART // len(rows)) if on_cpu else rows.shape[1]
    room = torch.empty_like(rows[:, :width])
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for part in rows.split(width, 1):
        # Centred first: taken out of the products, a common offset would take digits with it. What
        # rounding leaves of it, as of anything that is taken off all rows, unbiased HSIC ignores.
        centred = torch.sub(part, mean @ part, out=room[:, : part.shape[1]])
        if scaled:
            centred.mul_(scale)
        total += _products(centred)
    return total


def _products(
    rows: Tensor,  # (n, D)
) -> Tensor:  # (n, n)
    """Of rows with one another. MKL, which torch takes, is slow on processors of AMD.

    There a block of 64 x 16,384 takes 0.54 of its time by oneDNN, centring included, and is off by
    1.2e-7 of its size in place of 5e-8. Of small parts, and of rows that do not lie one behind
    another, oneDNN is the slow one.
    """
    if _ONEDNN is None or not _suit_onednn(rows):
        return rows @ rows.T
    return _ONEDNN(rows, rows, None, "none", [], "")


def _suit_onednn(rows: Tensor) -> bool:
    plain = rows.device.type == "cpu" and rows.dtype == torch.float32 and rows.is_contiguous()
    return plain and len(rows) >= _MANY and rows.numel() >= _LARGE


def _rows(
    z: Tensor,  # (n, ...)
) -> Tensor:  # (n, D)
    """Units and places in the order in which they lie in memory: products do not feel it."""
    z = where_float64_is(z)
    if z.ndim == 4 and not z.is_contiguous():
        z = z.permute(0, 2, 3, 1)  # channels-last memory, and then no copy is needed
    return per_sample(z)


def _scale(rows: Tensor) -> Tensor:  # ()
    """A power of 2 a layer, of its first batch, that keeps float32 products from underflowing.

    It is 1 for numbers of usual size.
    """
    low, high = rows.aminmax()
    size = torch.maximum(high, -low)
    size = size if rows.dtype == torch.float64 else size.float()
    power = -torch.where(size > 0, size, 1.0).log2().round().clamp(min=-126)
    return torch.exp2(torch.where(power.abs() > _USUAL, power, 0))
