"""The sums that stitches of any two layers are solved from, the source laid like the target."""

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.accumulators.classes import WithinClasses, within_of_sums
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.shapes import (
    ShapeError,
    Tokens,
    per_location,
    same_tokens,
    where_float64_is,
)
from frankenstein.surgery import Layout
from frankenstein.surgery.layouts import alignment

Grid = tuple[str, tuple[int, ...], int]  # a layout without its units


class PairMoments:
    """What a stitch from any source layer to any target layer is solved from, in one pass.

    Place by place, each source laid like each target, in float64 about the layer's first mean. A
    source is laid once on each grid of targets, and one product gives its sums with all of them.
    A source with fewer places than the target is not widened: with x = A z at each image, Σxyᵀ is
    Σz(Aᵀy)ᵀ and Σxxᵀ is Σz(AᵀAz)ᵀ, the same sums over fewer rows.
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
        self._sums: dict[Any, Tensor] = {}
        self._counts: Tensor | None = None  # examples of each class
        self._rows: dict[Grid, int] = {}

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
        lay_or_error = self._lays[key]
        if isinstance(lay_or_error, ShapeError):
            raise lay_or_error
        return lay_or_error

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
    def update(
        self,
        sources: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        labels: Tensor | None = None,  # (N,): one class of each example, to take class means off
    ) -> "PairMoments":
        """Add a batch of all representations; returns self."""
        padded = any(isinstance(z, Tokens) for z in targets.values())
        which = None if labels is None or padded else self._members_of(labels)
        for z in (*sources.values(), *targets.values()):
            same_tokens(z, next(iter(targets.values())))
        x = {s: self._centred(("x", s), sources[s]) for s in self.sources}
        y = {t: self._centred(("y", t), targets[t]) for t in self.targets}
        self.n += len(next(iter(targets.values())))
        for t in self.targets:
            self._add(("y", t), y[t], y[t])
            self._add_totals(("y", t), which, y[t])
        by_grid: dict[Grid, list[str]] = {}
        for t, layout in self.targets.items():
            by_grid.setdefault(_grid(layout), []).append(t)
        for grid, members in by_grid.items():
            theirs = y[members[0]] if len(members) == 1 else torch.cat([y[t] for t in members], -1)
            self._rows[grid] = self._rows.get(grid, 0) + theirs[..., 0].numel()
            under: dict[Grid, Tensor] = {}  # the targets brought to the grid of a source
            for s, layout in self.sources.items():
                if not self.fits(s, members[0]):
                    continue
                lay = self.lay(s, members[0])
                if isinstance(lay, Resize) and self.widens(s, members[0]):
                    if (place := _grid(layout)) not in under:
                        under[place] = lay.adjoint.places(theirs)
                    self._add((s, grid), x[s], under[place])
                    self._add_totals((s, grid), which, x[s], lay.weights)
                    self._add((s, grid, s), x[s], lay.gram.places(x[s]))
                    continue
                kept = isinstance(lay, nn.Identity)
                laid = x[s] if kept else self._centred(("x", s), lay(sources[s]))
                self._add((s, grid), laid, theirs)
                self._add_totals((s, grid), which, laid)
                self._add((s, grid, s), laid, laid)
        return self

    def moments(self, source: str, target: str) -> Moments:
        """The moments of one pair; every measure can be had from them but unbiased CKA."""
        if self.n == 0:
            raise UserError("no examples were given; is the data set empty?")
        grid = _grid(self.targets[target])
        members = [t for t, layout in self.targets.items() if _grid(layout) == grid]
        edges = dict(zip(members, pairwise(self._columns(members)), strict=True))
        mine = slice(*edges[target])
        return Moments.of_sums(
            self._rows[grid],
            {"x": self._shifts["x", source], "y": self._shifts["y", target]},
            {"x": self._sums["all", (source, grid)], "y": self._sums["all", ("y", target)]},
            {
                "xx": self._sums[source, grid, source],
                "xy": self._sums[source, grid][:, mine],
                "yy": self._sums["y", target],
            },
        )

    def within(self, source: str, target: str) -> WithinClasses:
        """The moments of one pair once class means are taken off both; no unbiased CKA of these.

        Raises:
            UserError: if no labels came with the examples.
        """
        if self._counts is None:
            raise UserError("sums within classes need the class of each example, and got none")
        grid = _grid(self.targets[target])
        counts = self._counts * _places(self.targets[target])
        sums = {"x": (source, grid), "y": ("y", target)}
        by_class = {side: self._sums["classes", key][: len(counts)] for side, key in sums.items()}
        return within_of_sums(self.moments(source, target), counts, by_class)

    def _members_of(self, labels: Tensor) -> Tensor:  # (K, N) float64, of 0 and 1
        """Which class each example is of; K grows with the largest class that was seen."""
        seen = 0 if self._counts is None else len(self._counts)
        most = max(seen, int(labels.max()) + 1) if len(labels) else seen
        which = torch.nn.functional.one_hot(labels, most).T.double()
        self._counts = _padded(self._counts, most, which) + which.sum(1)
        return which

    def _add_totals(
        self, key: Any, which: Tensor | None, rows: Tensor, weights: Tensor | None = None
    ) -> None:
        """Add the sums of rows (*places, N, C), of all and of every class; places have weights."""
        if rows.ndim > 2:  # over places
            flat = rows.flatten(0, -3)
            rows = flat.sum(0) if weights is None else torch.tensordot(weights, flat, 1)
        total = rows.sum(0)
        self._sums["all", key] = self._sums.get(("all", key), 0) + total
        if which is not None:
            part = which @ rows
            known = self._sums.get(("classes", key))
            self._sums["classes", key] = part if known is None else _padded(known, len(part)) + part

    def _columns(self, members: list[str]) -> accumulate:
        """Where each of the targets that share a grid begins."""
        return accumulate((self.targets[t].units for t in members), initial=0)

    def _add(
        self,
        key: Any,
        left: Tensor,  # (*places, N, C)
        right: Tensor,  # (*places, N, D)
    ) -> None:
        """Add leftᵀ right, summed over examples and places."""
        part = left.flatten(0, -2).T @ right.flatten(0, -2)
        self._sums[key] = self._sums[key].add_(part) if key in self._sums else part

    def _centred(self, key: tuple[str, str], z: Tensor) -> Tensor:  # (*places, N, C), float64
        """Places first and units last, minus the first batch's mean: offsets cost no digits.

        Of padded text (K, C), a row for each token that is there.
        """
        z = per_location(z) if isinstance(z, Tokens) else z
        z = where_float64_is(z)
        z = z.permute(2, 3, 0, 1) if z.ndim == 4 else z.movedim(0, -2)
        own = torch.empty(z.shape, dtype=torch.float64, device=z.device).copy_(z)
        if key not in self._shifts:
            self._shifts[key] = own.flatten(0, -2).mean(0)
        return own.sub_(self._shifts[key])


def _padded(sums: Tensor | None, classes: int, like: Tensor | None = None) -> Tensor:
    """Sums by class with zeros for classes that were not seen before."""
    if sums is None:
        assert like is not None
        return like.new_zeros(classes)
    return torch.cat([sums, sums.new_zeros(classes - len(sums), *sums.shape[1:])])


def _grid(layout: Layout) -> Grid:
    return layout.kind, layout.grid, layout.extra


def _places(layout: Layout) -> int:
    return torch.Size(layout.grid).numel() + layout.extra


class Resize(nn.Module):
    """(N, C, H, W) to (N, C, H', W') by a matrix over rows of places and one over columns.

    What `surgery.layouts` does to maps, up to float32's rounding; faster on a CPU.
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
        widens = all(a <= b for a, b in zip(source, target, strict=True))
        return (Widening if widens else cls)(*map(_weights, source, target))

    @property
    def adjoint(self) -> "Resize":
        """Aᵀ."""
        return Resize(self.rows.T, self.columns.T)

    @property
    def gram(self) -> "Resize":
        """AᵀA."""
        return Resize(self.rows.T @ self.rows, self.columns.T @ self.columns)

    @property
    def weights(self) -> Tensor:  # (H W,)
        """Aᵀ1: how often each place counts on the other grid."""
        return torch.outer(self.rows.sum(0), self.columns.sum(0)).flatten()

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


class Widening(Resize):
    """To at least as many rows and columns, where antialiasing changes nothing."""

    def forward(self, z: Tensor) -> Tensor:
        """The map on the other grid, in memory as it was."""
        size = len(self.rows), len(self.columns)
        return functional.interpolate(z, size, mode="bilinear")


def _weights(source: int, target: int) -> Tensor:  # (target, source)
    unit = torch.eye(source, dtype=torch.float64)[None, None]
    size = (target, source)
    return functional.interpolate(unit, size, mode="bilinear", antialias=True)[0, 0]
