"""Representations of fewer rows than units: what is held of them, and smaller ones in their place.

Sums over D units take D² numbers, of which N rows fill N directions only.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.sizes import check_rows
from frankenstein.shapes import ShapeError, per_location, per_sample, rows_of_both

WIDE = 512  # units whose sums are cheap
_AT_ONCE = 1024  # rows of more units that are summed together: sums take longer to add than to make


class AdaptiveMoments:
    """The rows of two representations while they are fewer than units, then their Moments."""

    def __init__(self, flatten: Callable[[Tensor], Tensor] = per_sample) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self._held: list[tuple[Tensor, Tensor]] = []  # all if they are few, else the last ones
        self._moments = Moments()

    def update(self, source: Tensor, target: Tensor) -> "AdaptiveMoments":
        """Add a batch of both representations (N, ...); returns self.

        Raises:
            ShapeError: if the two hold a different number of rows, or other units than before.
        """
        x, y = rows_of_both(self.flatten, source, target)
        units = x.shape[1], y.shape[1]
        known = [tuple(z.shape[1] for z in rows) for rows in self._held[:1]]
        if known and known[0] != units:
            raise ShapeError(f"these are rows of {known[0]} units, got {units}; start new ones")
        if len(x):
            self._held.append((x, y))
        held = sum(len(rows) for rows, _ in self._held)
        waits = held < _AT_ONCE and max(units) > WIDE if self._moments.n else are_few(held, *units)
        if not waits:
            self._sum_up()
        return self

    def all_reduce(self) -> "AdaptiveMoments":
        """Become the rows of all processes together, on each of them; returns self."""
        if distributed.is_available() and distributed.is_initialized():
            self.moments.all_reduce()
        return self

    @property
    def few(self) -> bool:
        """Whether there are fewer rows than units, so far."""
        return bool(self._held) and not self._moments.n

    @property
    def moments(self) -> Moments:
        """The sums over all rows, of which none are held any more."""
        self._sum_up()
        return self._moments

    def frozen(self) -> Moments:
        """What measures and stitches take: moments, which keep the rows if they are few."""
        if self.few:
            return Moments.of_rows(*map(torch.cat, zip(*self._held, strict=True)))
        return self.moments.frozen()

    def _sum_up(self) -> None:
        held, self._held = self._held, []
        if held:
            x, y = held[0] if len(held) == 1 else map(torch.cat, zip(*held, strict=True))
            self._moments.update(x, y)


def by_rows(x: Tensor | Moments | Reservoir, y: Tensor | None = None) -> bool:
    """Whether two representations are at hand and have fewer rows than units."""
    return bool(x.rows) if isinstance(x, Moments) else few_rows(x, y) is not None


def few_rows(
    x: Tensor | Moments | Reservoir, y: Tensor | None = None
) -> tuple[Tensor, Tensor] | None:  # (N, D), (N, E)
    """Two representations if they are at hand and have fewer rows than units, else None."""
    if isinstance(x, Reservoir):
        return few_rows(x.x, x.y)
    if isinstance(x, Moments):
        return (x.rows["x"], x.rows["y"]) if x.rows else None
    if y is None:
        return None
    rows = rows_of_both(per_location, x, y)
    n, *units = len(rows[0]), *(z.shape[1] for z in rows)
    return rows if n and are_few(n, *units) else None


def rotate_to_span(rows: Tensor) -> Tensor:  # (N, min(N, D)) float64, from (N, D)
    """Centred rows in a basis of their span: what no rotation changes is the same of them."""
    rows = centred_rows(rows)
    if rows.shape[1] <= len(rows):
        return rows
    rotated = torch.linalg.qr(rows.T).R.T
    sizes = rotated.norm(dim=0)
    return torch.where(sizes > 1e-13 * sizes.max(), rotated, 0)  # a direction of rounding is none


def whiten_rows(rows: Tensor) -> Tensor:  # (N, rank) float64, from (N, D)
    """Principal coordinates of the units at variance 1: what no invertible map changes is the same.

    Directions are those that `linear.whitener` counts.
    """
    vectors, eigenvalues = directions(rows)
    return vectors * eigenvalues.sqrt()


def directions(rows: Tensor) -> tuple[Tensor, Tensor]:  # (N, rank), (rank,), float64, from (N, D)
    """Orthonormal directions among rows in which the units vary, at variance 1; sums of squares.

    Of as many rows as units or more by QR, which tells apart what sums cannot: units of float64
    that equal others but for 1e-13 of them. Of float32, whose rounding leaves 1e-7, directions are
    those of sums.
    """
    precise, rows = rows.dtype == torch.float64, centred_rows(rows)
    n, d = rows.shape
    sizes = rows.square().mean(0).sqrt()
    rows = rows / torch.where(sizes > 0, sizes, torch.inf)
    eps = torch.finfo(rows.dtype).eps
    rounding = (d + math.sqrt(n)) * eps
    if n < d:
        eigenvalues, vectors = torch.linalg.eigh(rows @ rows.T)
    else:
        basis, small = torch.linalg.qr(rows)
        turn, values, _ = torch.linalg.svd(small)
        vectors, eigenvalues = (basis @ turn).flip(1), values.square().flip(0)
        rounding = (n * eps) ** 2 if precise else rounding
    kept = eigenvalues > rounding * eigenvalues[-1:].clamp(min=0)
    return vectors[:, kept], eigenvalues[kept]


def reduce_to_span(
    x: Tensor | Moments | Reservoir,
    y: Tensor | None = None,
    as_x: Callable[[Tensor], Tensor] = rotate_to_span,
    as_y: Callable[[Tensor], Tensor] = rotate_to_span,
) -> tuple[Tensor | Moments | Reservoir, Tensor | None]:
    """Both in fewer units if they have few rows, else as they are.

    Raises:
        UserError: for NaN or Inf among few rows, or numbers whose powers float64 does not hold.
    """
    if not by_rows(x, y):
        return x, y
    if isinstance(x, Moments):
        return _reduced_side(x, "x", as_x), _reduced_side(x, "y", as_y)
    few = few_rows(x, y)
    assert few is not None
    return _reduced(few[0], "first", as_x), _reduced(few[1], "second", as_y)


def _reduced_side(moments: Moments, a: str, fewer: Callable[[Tensor], Tensor]) -> Tensor:
    """What follows from a layer is made once for all the pairs that it is in."""
    called = {"x": "first", "y": "second"}[a]
    return moments.cached(a, fewer, lambda: _reduced(moments.rows[a], called, fewer))


def _reduced(rows: Tensor, called: str, fewer: Callable[[Tensor], Tensor]) -> Tensor:
    check_rows(rows, f"{called} representation")
    return fewer(rows)


def ranked_moments(x: Tensor | Moments | Reservoir, y: Tensor | None = None) -> Moments:
    """Moments, of few rows turned: with the ranks of the units as they are, which ridges go by."""
    moments = moments_of(*reduce_to_span(x, y))
    if by_rows(x, y):
        white = reduce_to_span(x, y, whiten_rows, whiten_rows)
        ranks = (z.shape[1] for z in white if isinstance(z, Tensor))
        moments.cache = {a: {"rank": rank} for a, rank in zip("xy", ranks, strict=True)}
    return moments


def centred_rows(rows: Tensor) -> Tensor:  # (N, D) float64
    """Rows less their mean."""
    rows = rows.double()
    rows = rows - rows[0]  # so that a unit that does not vary is 0, where its mean may be rounded
    return rows - rows.mean(0)


def are_few(n: int, *units: int) -> bool:
    """Whether n rows are fewer than the units of the widest of some representations."""
    return n <= max(units) and max(units) > WIDE
