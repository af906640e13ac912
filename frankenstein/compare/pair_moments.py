"""The moments of every layer of one network with every layer of another, each sum made once."""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.compare.resize import Resize
from frankenstein.errors import UserError
from frankenstein.moments import Moments
from frankenstein.shapes import ShapeError
from frankenstein.surgery import Layout
from frankenstein.surgery.layouts import alignment

Grid = tuple[str, tuple[int, ...], int]  # a layout without its units


class PairMoments:
    """What a stitch from any source layer to any target layer is solved from, in one pass.

    Place by place, each source laid like each target, in float64 about the layer's first mean. One
    product of matrices for each grid of targets gives the sums of all that is laid on it. A source
    with fewer places stays where it is: with x = A z at each image, Σxyᵀ is Σz(Aᵀy)ᵀ and Σxxᵀ is
    Σz(AᵀAz)ᵀ, the same sums over fewer rows; one product for each source gives these.
    """

    def __init__(
        self,
        sources: Mapping[str, Layout],
        targets: Mapping[str, Layout],
        device: torch.device | str = "cpu",
    ) -> None:
        self.sources, self.targets = dict(sources), dict(targets)
        self.n = 0  # examples seen
        self._device = device
        self._lays: dict[tuple[Grid, Grid], nn.Module | ShapeError] = {}
        self._shifts: dict[tuple[str, str], Tensor] = {}
        self._products: dict[Any, _Product] = {}

    def lay(self, source: str, target: str) -> nn.Module:
        """What lays a source like a target, without parameters.

        Raises:
            ShapeError: if the source cannot be laid like the target.
        """
        one, other = self.sources[source], self.targets[target]
        key = _grid(one), _grid(other)
        if key not in self._lays:
            try:
                resized = one.kind == other.kind == "map" and one.grid != other.grid
                lay = Resize.between(one.grid, other.grid) if resized else alignment(one, other)[0]
                self._lays[key] = lay.to(self._device)
            except ShapeError as error:
                self._lays[key] = error
        found = self._lays[key]
        if isinstance(found, ShapeError):
            raise found
        return found

    def fits(self, source: str, target: str) -> bool:
        """Whether a source can be laid like a target."""
        try:
            return isinstance(self.lay(source, target), nn.Module)
        except ShapeError:
            return False

    def widens(self, source: str, target: str) -> bool:
        """Whether a source is resized to more places than it has."""
        more = _places(self.targets[target]) > _places(self.sources[source])
        return more and isinstance(self.lay(source, target), Resize)

    @torch.no_grad()
    def update(self, sources: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> "PairMoments":
        """Add a batch of all representations; returns self."""
        x = {s: self._centred(("x", s), sources[s]) for s in self.sources}
        y = {t: self._centred(("y", t), targets[t]) for t in self.targets}
        one = torch.ones((), dtype=torch.float64, device=self._device)
        self.n += len(next(iter(y.values())))
        by_grid: dict[Grid, list[str]] = {}
        for t, layout in self.targets.items():
            by_grid.setdefault(_grid(layout), []).append(t)
        wide: dict[str, dict[Any, Tensor]] = {}
        under: dict[Any, Tensor] = {}  # targets brought to the grid of a source
        for grid, members in by_grid.items():
            stack: dict[Any, Tensor] = {("y", t): y[t] for t in members}
            stack["1"] = one.expand(*y[members[0]].shape[:-1], 1)
            theirs = list(stack)
            for s, layout in self.sources.items():
                if not self.fits(s, members[0]):
                    continue
                lay = self.lay(s, members[0])
                if isinstance(lay, Resize) and self.widens(s, members[0]):
                    mine = wide.setdefault(s, {})
                    mine[grid, "xx"] = lay.gram.places(x[s])
                    for key in theirs:
                        place = layout.grid, grid, key
                        if place not in under:
                            under[place] = lay.adjoint.places(stack[key])
                        mine[grid, key] = under[place]
                elif isinstance(lay, nn.Identity):
                    stack["x", s] = x[s]
                else:
                    stack["x", s] = self._centred(("x", s), lay(sources[s]))
            self._products.setdefault(grid, _Product()).add(stack, stack)
        for s, stack in wide.items():
            self._products.setdefault(s, _Product()).add({"x": x[s]}, stack)
        return self

    def moments(self, source: str, target: str) -> Moments:
        """The moments of one pair; every measure can be had from them but unbiased CKA."""
        if self.n == 0:
            raise UserError("no examples were given; is the data set empty?")
        x, y, grid = ("x", source), ("y", target), _grid(self.targets[target])
        shared = self._products[grid]
        if self.widens(source, target):
            own = self._products[source]
            first, cross, square = (own.block("x", (grid, key)) for key in ("1", y, "xx"))
        else:
            first, cross, square = (shared.block(x, key) for key in ("1", y, x))
        return Moments.of_sums(
            self.n * _places(self.targets[target]),
            {"x": self._shifts[x], "y": self._shifts[y]},
            {"x": first.squeeze(1), "y": shared.block(y, "1").squeeze(1)},
            {"xx": square, "xy": cross, "yy": shared.block(y, y)},
        )

    def _centred(self, key: tuple[str, str], z: Tensor) -> Tensor:  # (N, *places, C), float64
        """Units last, and minus the mean of the first batch, so that offsets cost no digits."""
        z = (z.movedim(1, -1) if z.ndim == 4 else z).double()
        if key not in self._shifts:
            self._shifts[key] = z.flatten(0, -2).mean(0)
        return z - self._shifts[key]


class _Product:
    """A running AᵀB, whose columns are blocks that have names."""

    def __init__(self) -> None:
        self.total: Tensor | None = None

    def add(self, left: Mapping[Any, Tensor], right: Mapping[Any, Tensor]) -> None:
        """Add the product of what is stacked side by side, summed over all places."""
        if self.total is None:
            self.left, self.right = _spans(left), _spans(right)
        a = _stacked(left)
        b = a if left is right else _stacked(right)
        part = a.T @ b
        self.total = part if self.total is None else self.total.add_(part)

    def block(self, row: Any, column: Any) -> Tensor:
        """The product of two blocks."""
        assert self.total is not None
        return self.total[self.left[row], self.right[column]]


def _stacked(blocks: Mapping[Any, Tensor]) -> Tensor:  # (rows, all columns)
    rows = [block.flatten(0, -2) for block in blocks.values()]
    return torch.cat(rows, 1) if len(rows) > 1 else rows[0]


def _spans(blocks: Mapping[Any, Tensor]) -> dict[Any, slice]:
    edges = accumulate((block.shape[-1] for block in blocks.values()), initial=0)
    return {key: slice(*edge) for key, edge in zip(blocks, pairwise(edges), strict=True)}


def _grid(layout: Layout) -> Grid:
    return layout.kind, layout.grid, layout.extra


def _places(layout: Layout) -> int:
    return torch.Size(layout.grid).numel() + layout.extra
