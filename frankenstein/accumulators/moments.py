"""One pass, then algebra: sums over pairs of representations, and what follows from them.

The sums are held in float64 and shifted by the first batch's mean, so that neither a large common
offset nor the number of examples costs digits; memory is O(D² + D·E + E²) whatever the data's size.
"""

import copy
import math
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.accumulators.sizes import check_size, not_finite
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, per_location, rows_of_both

T = TypeVar("T")

NO_EXAMPLES = "no examples were given; is the data set empty?"
_SIDES = ("x", "y")
_PAIRS = (("x", "x"), ("x", "y"), ("y", "y"))
_PART = 2**17  # numbers of a representation that are worked on at once
_LEAST = 256  # rows at once, so that adding up costs less than the product


class Moments:
    """Sums over the rows of two representations of the same examples.

    With rows x_i (D) and y_i (E), each minus a fixed shift, and k_i = |x_i|², l_i = |y_i|²:
    `first` holds Σx, Σy; `second` holds Σxxᵀ, Σxyᵀ, Σyyᵀ; `third` holds Σ k x ("xx"), Σ k y ("xy"),
    Σ l x ("yx"), Σ l y ("yy"); `fourth` holds Σ k², Σ k l, Σ l². The last two are what unbiased
    HSIC needs beyond covariances.

    Gradients flow through the sums, so one batch under autograd gives an exact gradient of any
    measure; accumulate over many batches under `torch.no_grad()`.
    """

    # By side or pair of sides.
    shift: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    third: dict[str, Tensor]
    fourth: dict[str, Tensor]

    def __init__(self, flatten: Callable[[Tensor], Tensor] = per_location) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows."""
        self.flatten = flatten
        self.n = 0  # rows seen
        self.precise = False  # whether all of them were float64
        self.rows: dict[str, Tensor] = {}  # only of `of_rows`
        self.cache: dict[str, dict[Any, Any]] = {}  # see `cached`
        self._lost: tuple[dict[str, Tensor], ...] = ({}, {}, {}, {})  # by `_take`, of each group

    @classmethod
    def of_sums(
        cls, n: int, shift: dict[str, Tensor], first: dict[str, Tensor], second: dict[str, Tensor]
    ) -> "Moments":
        """Moments from sums that were made elsewhere; without those that unbiased HSIC needs."""
        moments = cls()
        moments.n, moments.shift, moments.first, moments.second = n, shift, first, second
        moments.third, moments.fourth = {}, {}
        return moments

    @classmethod
    def of_rows(
        cls,
        x: Tensor,  # (N, D)
        y: Tensor,  # (N, E)
    ) -> "Moments":
        """Moments of all there is, fewer rows than units, which are kept: `rows`, less their shift.

        Sums over pairs of units are made when they are asked for; N rows say the same in less.
        """
        given = {"x": x, "y": y}

        def first_row(a: str) -> Tensor:
            return given[a][0].detach().double()

        def mean(a: str) -> Tensor:
            return (given[a].detach().double() - first_row(a)).mean(0)

        moments = cls()
        moments.n = len(x)
        # About a row first: a unit that does not vary is 0, where its mean may be rounded.
        moments.rows = _Made(lambda a: given[a].double() - first_row(a) - mean(a))
        moments.shift = _Made(lambda a: first_row(a) + mean(a))
        return moments._of_rows()

    def of_side(self, side: str) -> "Moments":
        """The moments of one side with itself.

        Raises:
            UserError: if there are no examples.
        """
        if self.n == 0:
            raise UserError(NO_EXAMPLES)
        own = self.frozen()
        own.cache = dict.fromkeys(_SIDES, self.cache.get(side, {})) | {"xy": {}}
        if self.rows:
            own.rows = _Made(lambda _: self.rows[side])
            own.shift = _Made(lambda _: self.shift[side])
            return own._of_rows()
        own.shift = dict.fromkeys(_SIDES, self.shift[side])
        own.first = dict.fromkeys(_SIDES, self.first[side])
        own.second = dict.fromkeys(("xx", "xy", "yy"), self.second[side + side])
        if self.third:
            own.third = dict.fromkeys(("xx", "xy", "yx", "yy"), self.third[side + side])
            own.fourth = dict.fromkeys(("xx", "xy", "yy"), self.fourth[side + side])
        return own

    def frozen(self) -> "Moments":
        """The same, to which no more is added: what follows from them is made once."""
        frozen = copy.copy(self)
        frozen.cache = {"x": {}, "y": {}, "xy": {}}
        if self.n and not self.rows:
            frozen.first, frozen.second, frozen.third, frozen.fourth = map(dict, self._groups())
        frozen._lost = ({}, {}, {}, {})
        return frozen

    def update(
        self,
        source: Tensor,  # (N, ...)
        target: Tensor,  # (N, ...)
    ) -> "Moments":
        """Add a batch of both representations; returns self.

        Raises:
            ShapeError: if the two hold a different number of rows once flattened.
        """
        rows = dict(zip(_SIDES, rows_of_both(self.flatten, source, target), strict=True))
        if len(rows["x"]) == 0:
            return self
        self._sum_up()
        precise = all(z.dtype == torch.float64 for z in rows.values())
        self.precise = precise and (self.precise or not self.n)
        if self.n:
            self._same_units(rows["x"].shape[1], rows["y"].shape[1])
        else:
            self._start({side: rows[side].detach().mean(0, dtype=torch.float64) for side in _SIDES})
        # Parts that stay in a CPU's cache take half the time of large buffers, mapped anew.
        part = max(_LEAST, 1 + _PART // max(rows["x"].shape[1], rows["y"].shape[1], 1))
        part = part if rows["x"].device.type == "cpu" else len(rows["x"])
        batch = Moments()
        batch._start(self.shift)
        for x, y in zip(rows["x"].split(part), rows["y"].split(part), strict=True):
            batch._add({"x": x, "y": y})
        self._take(batch)
        return self

    def mean(self, side: str) -> Tensor:  # (D,)
        """Mean row of side "x" or "y"."""
        self._check()
        return self.mean_of(side)

    def covariance(self, pair: str) -> Tensor:  # (D, E)
        """Covariance (divided by n) of the pair "xx", "xy" or "yy"."""
        self._check()
        if pair == "xy":
            return self._covariance(pair)
        return self.cached(pair[0], "covariance", lambda: self._covariance(pair))

    def variance(self, side: str) -> Tensor:  # (D,)
        """Variance of every unit; exactly 0 for one that is constant up to float64's rounding."""
        return self.cached(side, "variance", lambda: self._variance(side))

    def cached(self, side: str, what: Hashable, make: Callable[[], T]) -> T:
        """What follows from one side alone, made once for all pairs of layers that it is in.

        Moments of one layer in several pairs share its `cache` (`LayerMoments.pair`). Moments whose
        sums may still grow cache nothing; `frozen` ones do. What follows from both sides has "xy"
        for its side.
        """
        known = self.cache.get(side, {})
        if what not in known:
            known[what] = make()
        return known[what]

    def about_mean(self) -> "Moments":
        """The moments of the rows less their mean; they keep no rows.

        Raises:
            UserError: if there are no examples, or NaN or Inf among them.
        """
        self._check()
        moved = self._sums()._moved_to({side: self.mean_of(side) for side in _SIDES})
        moved.shift = {side: torch.zeros_like(one) for side, one in moved.shift.items()}
        return moved

    def forget(self, side: str, units: Tensor) -> None:
        """Let units (D,), of which rounding alone is left, be 0 at every row."""
        self.first[side] = self.first[side].masked_fill(units, 0)
        for a in _SIDES:
            self.third[a + side] = self.third[a + side].masked_fill(units, 0)
        for a, b in _PAIRS:
            if side == a:
                self.second[a + b] = self.second[a + b].masked_fill(units[:, None], 0)
            if side == b:
                self.second[a + b] = self.second[a + b].masked_fill(units, 0)

    def _sums(self) -> "Moments":
        """These moments, or of few rows their sums, so that the rows stay."""
        sums = copy.copy(self)
        sums._sum_up()
        return sums

    def _covariance(self, pair: str) -> Tensor:
        a, b = pair[0], pair[1]
        return (self.second[pair] - torch.outer(self.first[a], self.first[b]) / self.n) / self.n

    def _variance(self, side: str) -> Tensor:
        self._check()
        return self._spread(self._squares(side), side)

    def _spread(self, squares: Tensor, side: str) -> Tensor:
        variance = (squares - self.first[side].square() / self.n) / self.n
        # The rounding of a constant c leaves up to (1e-16 c)² of variance that is not there.
        return variance.where(variance > 1e-24 * self.mean_of(side).square(), 0)

    def merge(self, other: "Moments") -> "Moments":
        """Add the sums of `other`, moved to this one's shift; exact. Returns self."""
        if other.n == 0:
            return self
        self._sum_up()
        if self.n == 0:
            self._start(other.shift)
        self._same_units(len(other.shift["x"]), len(other.shift["y"]))
        there = all(other.shift[side] is self.shift[side] for side in _SIDES)
        self._take(other if there else other._moved_to(self.shift))
        return self

    def all_reduce(self) -> "Moments":
        """Become the moments of all processes' rows together, on each of them; returns self."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return self
        everyone: list = [None] * distributed.get_world_size()
        shift = {a: self.shift[a].cpu() for a in _SIDES} if self.n else None
        distributed.all_gather_object(everyone, (self.n, shift))
        common = next((shift for n, shift in everyone if n), None)
        if common is None:
            return self
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        common = {a: common[a].to(device) for a in _SIDES}
        if self.n == 0:
            self._start(common)
        moved = self._moved_to(common)
        for group in moved._groups():
            for total in group.values():
                distributed.all_reduce(total)
        moved.n = sum(n for n, _ in everyone)
        self.__dict__.update(moved.__dict__)
        return self

    def _add(self, rows: dict[str, Tensor]) -> None:
        # The shift is float64, and so is what is less by it: products of float32 activations of
        # 1e-8 underflow, float64 holds them and their squares.
        rows = {side: rows[side] - self.shift[side] for side in _SIDES}
        self.n += len(rows["x"])
        self._add_singly(rows)
        for a, b in _PAIRS:
            self.second[a + b] = torch.addmm(self.second[a + b], rows[a].T, rows[b])

    def _add_singly(self, rows: dict[str, Tensor]) -> None:
        """All sums but those over pairs of units."""
        squares = [rows[side].square().sum(1) for side in _SIDES]
        weights = torch.stack([torch.ones_like(squares[0]), *squares])
        sums = {side: weights @ rows[side] for side in _SIDES}  # Σ, Σ k and Σ l of each, at once
        fourth = weights[1:] @ weights[1:].T
        for i, a in enumerate(_SIDES):
            self.first[a] = self.first[a] + sums[a][0]
            for b in _SIDES:
                self.third[a + b] = self.third[a + b] + sums[b][1 + i]
        for a, b in _PAIRS:
            self.fourth[a + b] = self.fourth[a + b] + fourth[int(a == "y"), int(b == "y")]

    def _take(self, other: "Moments") -> None:
        """Add sums about the same shift; what rounding loses is carried to the next (Kahan 1965).

        Without it a million rows cost least squares two of its digits.
        """
        self.n += other.n
        for mine, theirs, lost in zip(self._groups(), other._groups(), self._lost, strict=True):
            for key, total in mine.items():
                part = theirs[key] + lost[key] if key in lost else theirs[key]
                mine[key] = total + part
                lost[key] = part - (mine[key] - total)

    def _of_rows(self) -> "Moments":
        """Sums that are made when they are asked for."""
        rows = self.rows
        squares: dict[str, Tensor] = _Made(lambda a: rows[a].square().sum(1))
        self.first = _Made(lambda a: rows[a].sum(0))
        self.second = _Made(lambda pair: rows[pair[0]].T @ rows[pair[1]])
        self.third = _Made(lambda pair: squares[pair[0]] @ rows[pair[1]])
        self.fourth = _Made(lambda pair: squares[pair[0]] @ squares[pair[1]])
        self.cache = self.cache or {"x": {}, "y": {}, "xy": {}}
        return self

    def _sum_up(self) -> None:
        """Give rows up for their sums, so that more can be added."""
        if self.rows:
            self.shift = {a: self.shift[a] for a in _SIDES}
            self.first = {a: self.first[a] for a in _SIDES}
            self.second = {a + b: self.second[a + b] for a, b in _PAIRS}
            self.third = {a + b: self.third[a + b] for a in _SIDES for b in _SIDES}
            self.fourth = {a + b: self.fourth[a + b] for a, b in _PAIRS}
            self.rows, self.cache = {}, {}

    def _start(self, shift: dict[str, Tensor]) -> None:
        d, e = shift["x"], shift["y"]
        size = {"x": len(d), "y": len(e)}
        self.shift = dict(shift)
        self.first = {a: d.new_zeros(size[a]) for a in _SIDES}
        self.second = {a + b: d.new_zeros(size[a], size[b]) for a, b in _PAIRS}
        self.third = {a + b: d.new_zeros(size[b]) for a in _SIDES for b in _SIDES}
        self.fourth = {a + b: d.new_zeros(()) for a, b in _PAIRS}

    def _groups(self) -> tuple[dict[str, Tensor], ...]:
        return self.first, self.second, self.third, self.fourth

    def _moved_to(self, shift: dict[str, Tensor]) -> "Moments":
        """The same sums about another shift: every x is replaced by x - δ and multiplied out."""
        self._sum_up()
        moved = Moments(self.flatten)
        moved._start(shift)
        n = moved.n = self.n
        delta = {a: shift[a] - self.shift[a] for a in _SIDES}
        size = {a: delta[a] @ delta[a] for a in _SIDES}
        trace = {a: self.second[a + a].trace() for a in _SIDES}
        dot = {a: delta[a] @ self.first[a] for a in _SIDES}
        second = {**self.second, "yx": self.second["xy"].T}
        for a in _SIDES:
            moved.first[a] = self.first[a] - n * delta[a]
            for b in _SIDES:
                moved.third[a + b] = (
                    self.third[a + b]
                    - 2 * delta[a] @ second[a + b]
                    + size[a] * self.first[b]
                    - delta[b] * (trace[a] - 2 * dot[a] + n * size[a])
                )
        for a, b in _PAIRS:
            moved.second[a + b] = (
                second[a + b]
                - torch.outer(self.first[a], delta[b])
                - torch.outer(delta[a], self.first[b])
                + n * torch.outer(delta[a], delta[b])
            )
            moved.fourth[a + b] = (
                self.fourth[a + b]
                - 2 * delta[b] @ self.third[a + b]
                - 2 * delta[a] @ self.third[b + a]
                + 4 * delta[a] @ second[a + b] @ delta[b]
                + size[b] * (trace[a] - 2 * dot[a])
                + size[a] * (trace[b] - 2 * dot[b])
                + n * size[a] * size[b]
            )
        return moved

    def _same_units(self, d: int, e: int) -> None:
        known = len(self.shift["x"]), len(self.shift["y"])
        if (d, e) != known:
            raise ShapeError(f"these are sums over {known} units, got {(d, e)}; start new ones")

    def _check_side(self, side: str, called: str) -> bool:
        if not self.first[side].isfinite().all():
            raise not_finite(called)
        squares = self._squares(side)
        # Of a square that is beyond float64 the root is, too, and of NaN from such.
        size = squares.sum().nan_to_num(math.inf).sqrt() + self.mean_of(side).norm()
        spread = self._spread(squares, side).sum().sqrt()
        check_size(float(size.detach()), float(spread.detach()), called)
        return True

    def mean_of(self, side: str) -> Tensor:  # (D,)
        """The mean, of sums that are not looked at."""
        return self.shift[side] + self.first[side] / self.n

    def _squares(self, side: str) -> Tensor:  # (D,)
        if self.rows:
            return self.rows[side].square().sum(0)
        return self.second[side + side].diagonal()

    def _check(self) -> None:
        """Reading is where the sums are looked at, so that no batch has to wait for a device."""
        if self.n == 0:
            raise UserError(NO_EXAMPLES)
        for side, name in (("x", "first"), ("y", "second")):
            self.cached(side, "checked", partial(self._check_side, side, f"{name} representation"))


class _Made(dict[str, Tensor]):
    """Tensors that are made when they are first asked for; it counts as having them all."""

    def __init__(self, make: Callable[[str], Tensor]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> Tensor:
        self[key] = self._make(key)
        return self[key]

    def __bool__(self) -> bool:
        return True


def moments_of(
    x: "Tensor | Moments | Reservoir",  # (N, D), or both already
    y: Tensor | None = None,  # (N, E)
) -> Moments:
    """What measures of sums take: moments as they are, or those of two representations."""
    if isinstance(x, Moments):
        return x
    if isinstance(x, Reservoir):
        return Moments().update(x.x, x.y)
    if y is None:
        raise UserError("a measure takes Moments, or two representations; got one representation")
    return Moments().update(x, y)
