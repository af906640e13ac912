"""A bounded set of examples, for what does not follow from sums: kernels, ranks, neighbours.

All examples are kept up to a limit, a uniform sample of them above it. Which ones is decided by
their place in the stream alone, so no batch waits for a device, and batch size changes nothing.
"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed

from frankenstein.accumulators.numbered import numbers_of, priorities
from frankenstein.accumulators.sizes import check_rows
from frankenstein.errors import UserError
from frankenstein.shapes import (
    ShapeError,
    as_tensor,
    per_sample,
    rows_of_both,
    same_examples,
    where_float64_is,
)


class Reservoir:
    """Two representations of the same examples, and what they were made of if it is given.

    Exact up to `limit` rows, whatever the batches and their order. Above it those whose random
    priorities are the smallest are kept, as good as drawn without replacement. Memory is
    that of the kept rows: `limit` times the bytes of one row of each side, and no more.
    """

    def __init__(
        self,
        limit: int = 2000,
        flatten: Callable[[Tensor], Tensor] = per_sample,
        seed: int = 0,
    ) -> None:
        """Start empty; `flatten` (of `frankenstein.shapes`) turns a batch into rows.

        Accumulators of one process that are to be merged need a `seed` of their own each.
        """
        if limit < 1:
            raise UserError(f"the limit is how many examples are kept, got {limit}; give 1 or more")
        self.limit, self.flatten, self.seed = limit, flatten, seed
        self.n_seen = 0
        # On the host: a place in the stream is known without looking at the representation.
        self.priorities = torch.zeros(0, dtype=torch.int64)
        self._rows: dict[str, Tensor] = {}  # (room for rows, D) each; the first n_kept are filled

    @property
    def n_kept(self) -> int:
        """Rows that are kept."""
        return len(self.priorities)

    @property
    def x(self) -> Tensor:  # (n_kept, D)
        """Kept rows of the first representation."""
        return self._side("x", "first representation")

    @property
    def y(self) -> Tensor:  # (n_kept, E)
        """Kept rows of the second representation."""
        return self._side("y", "second representation")

    @property
    def inputs(self) -> Tensor:  # (n_kept, pixels)
        """What the kept examples are made of, one row each.

        Raises:
            UserError: if it was not given.
        """
        self.check_some()
        if "inputs" not in self._rows:
            raise UserError("the inputs were not kept; give them: update(x, y, inputs)")
        return self._side("inputs", "inputs")

    @property
    def bytes(self) -> int:
        """What the rows take, or will once there are `limit` of them."""
        return sum(self.limit * rows[0].nbytes for rows in self._rows.values())

    def update(
        self,
        x: Tensor,  # (N, ...)
        y: Tensor,  # (N, ...)
        inputs: Tensor | None = None,  # (N, ...)
    ) -> "Reservoir":
        """Add a batch of both representations; returns self.

        Raises:
            ShapeError: if they hold different numbers of rows, or other units than before.
            UserError: if inputs are given with some batches only.
        """
        new = dict(zip("xy", rows_of_both(self.flatten, x, y), strict=True))
        if inputs is not None:
            given = where_float64_is(inputs)
            new["inputs"] = per_sample(given if given.is_floating_point() else given.float())
        n = len(new["x"])
        for rows in new.values():
            same_examples(new["x"], rows)
        if n:
            self._add(priorities(numbers_of(self.n_seen, n), self.seed), new)
            self.n_seen += n
        return self

    def of_units(self, x: slice, y: slice) -> "Reservoir":
        """The same examples with some of the units of each side; views, not copies."""
        some = Reservoir(self.limit, self.flatten, self.seed)
        some.n_seen, some.priorities = self.n_seen, self.priorities
        spans = {"x": x, "y": y, "inputs": slice(None)}
        some._rows = {a: rows[:, spans[a]] for a, rows in self._rows.items()}
        return some

    def beside(self, other: "Reservoir") -> "Reservoir":
        """The first representation here, and as the second one the first of another reservoir.

        Raises:
            UserError: if the two have kept other examples.
        """
        if not torch.equal(self.priorities, other.priorities):
            raise UserError("the two have seen other examples; update both with the same batches")
        both = Reservoir(self.limit, self.flatten, self.seed)
        both.n_seen, both.priorities = self.n_seen, self.priorities
        both._rows = {**self._rows, "y": other._rows["x"]}
        return both

    def merge(self, other: "Reservoir") -> "Reservoir":
        """Add what `other` has kept and seen; returns self."""
        if other.n_kept:
            self._add(other.priorities, {a: other._kept(a) for a in other._rows})
            self.n_seen += other.n_seen
        return self

    def all_reduce(self) -> "Reservoir":
        """Become the examples of all processes together, on each of them; returns self."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return self
        everyone: list = [None] * distributed.get_world_size()
        mine = {a: (rows.shape[1], rows.dtype) for a, rows in self._rows.items()}
        distributed.all_gather_object(everyone, (self.n_seen, self.priorities, mine))
        forms = [form for n, _, form in everyone if n]
        if not forms:
            return self
        if any(form != forms[0] for form in forms):
            raise ShapeError("processes hold representations of different units; start new ones")
        owner = torch.cat([torch.full((len(p),), i) for i, (_, p, _) in enumerate(everyone)])
        place = torch.cat([torch.arange(len(p)) for _, p, _ in everyone])
        together = torch.cat([p for _, p, _ in everyone])
        best = together.argsort(stable=True)[: self.limit]
        ours = owner[best] == distributed.get_rank()
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        for a, (units, dtype) in forms[0].items():
            # Every row comes from one process and is 0 on the others: their sum is the row.
            rows = torch.zeros(len(best), units, dtype=_summed(dtype), device=device)
            if self.n_kept:
                chosen = place[best[ours]].to(self._rows[a].device)
                rows[ours.to(device)] = self._kept(a)[chosen].to(rows)
            distributed.all_reduce(rows)
            self._rows[a] = rows.to(dtype)
        self.priorities, self.n_seen = together[best], sum(n for n, _, _ in everyone)
        return self

    def _add(self, priorities: Tensor, new: dict[str, Tensor]) -> None:
        if self.n_kept and new.keys() != self._rows.keys():
            raise UserError("inputs came with some batches only; give them with all or none")
        for a, rows in new.items():
            if self.n_kept and rows.shape[1] != self._rows[a].shape[1]:
                known = self._rows[a].shape[1]
                raise ShapeError(f"these are rows of {known} units, got {rows.shape[1]} in {a}")
        kept = self.n_kept
        together = torch.cat([self.priorities, priorities])
        best = together.argsort(stable=True)[: self.limit].sort().values
        stay, come = best[best < kept], best[best >= kept]
        # Newcomers take the places of those that leave, then the free ones behind.
        gone = torch.ones(kept, dtype=torch.bool).index_fill_(0, stay, False).nonzero()[:, 0]
        size = len(stay) + len(come)
        slots = torch.cat([gone, torch.arange(kept, size)])
        self.priorities = together[torch.arange(size).index_copy(0, slots, come)]
        for a, rows in new.items() if len(come) else ():
            self._rows[a] = self._room(a, size, rows)
            chosen = rows[(come - kept).to(rows.device)]
            self._rows[a][slots.to(rows.device)] = chosen.to(self._rows[a])

    def _room(self, a: str, size: int, like: Tensor) -> Tensor:
        """The rows of a side with room for so many; room doubles, up to the limit."""
        rows = self._rows.get(a, like[:0])
        if len(rows) >= size:
            return rows
        more = min(self.limit, max(size, 2 * len(rows))) - len(rows)
        return torch.cat([rows, rows.new_zeros(more, like.shape[1])])

    def _kept(self, a: str) -> Tensor:
        return self._rows[a][: self.n_kept]

    def finite(self, side: str) -> bool:
        """Whether the kept rows of side "x" or "y" hold neither NaN nor Inf.

        Raises:
            UserError: if there are none.
        """
        self.check_some()
        return bool(self._kept(side).isfinite().all())

    def check_some(self) -> None:
        """Refuse a reservoir of no examples.

        Raises:
            UserError: if there are none.
        """
        if self.n_kept == 0:
            raise UserError("no examples were given; is the data set empty?")

    def _side(self, a: str, called: str) -> Tensor:
        """Reading is where rows are looked at, so that no batch has to wait for a device."""
        self.check_some()
        check_rows(self._kept(a), called)
        return self._kept(a)


def reservoir_of(
    x: "Tensor | Reservoir",  # (N, D), or both already
    y: Tensor | None = None,  # (N, E)
    inputs: Tensor | None = None,  # (N, ...)
) -> Reservoir:
    """What measures of examples take: examples as they are, or two representations.

    Raises:
        UserError: for sums, from which these measures do not follow.
    """
    if isinstance(x, Reservoir):
        return x
    if y is None:
        sums = hasattr(x, "merge")
        raise UserError(
            "this measure needs the examples themselves, which sums do not hold: Reservoir, or two "
            f"representations; got {type(x).__name__ if sums else 'one representation'}"
        )
    x = as_tensor(x)
    return Reservoir(limit=max(1, len(x))).update(x, y, inputs)


def _summed(dtype: torch.dtype) -> torch.dtype:
    """What every backend can add up."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
