"""Sums as one flat tensor: what torchmetrics gathers from all processes, whatever is in it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.errors import UserError


class Packed(Metric):
    """A metric whose state is sums in a flat float64 tensor; those of all processes add up.

    Moments are sums about a shift, which is the first batch's mean and so another one on every
    process: adding them up takes more than one number at a time. A process without examples
    has an empty state.
    """

    full_state_update = True  # a batch by itself is made from an empty state

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sums: Any
        self.add_state("sums", default=[], dist_reduce_fx="cat")
        self.set_dtype(torch.float64)  # of the empty state, too

    def _keeps(self, *what: Any) -> None:
        """Tell what the sums are of: a MetricCollection lets metrics of equal states share one.

        It looks at the first batch only, of which blocks or flattenings may not tell apart yet.
        """
        self.add_state(f"sums of {what}", default=torch.zeros(()), dist_reduce_fx="sum")

    def merge_state(self, incoming_state: "dict[str, Any] | Metric") -> None:
        """Add the sums of another metric of the same kind, or its `metric_state`."""
        if isinstance(incoming_state, Metric):
            if not isinstance(incoming_state, type(self)):
                raise UserError(
                    f"{type(self).__name__} merges its own kind, "
                    f"got {type(incoming_state).__name__}"
                )
            incoming_state = incoming_state.metric_state
        self.sums = [*_flat(self.sums), *_flat(incoming_state["sums"])]
        self._computed = None

    def _kept(self) -> Any:
        """What the state holds, added up; None for nothing."""
        total = None
        for flat in _flat(self.sums):
            one = self._unpacked(flat)
            total = total.merge(one) if total is not None and one is not None else total or one
        return total

    def _unpacked(self, flat: Tensor) -> Any:
        """The sums in a flat tensor, those of several processes added up; None if it is empty."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its sums are unpacked")


def pack_moments(moments: LayerMoments) -> Tensor:  # (P,) float64
    """Sums in a row, behind the sizes that tell them apart."""
    shifts = [z for a in "xy" for z in moments.shift[a].values()]
    places = [p for a in "xy" for p in moments.places[a].values()]
    head = [moments.n, *(len(z) for z in shifts), *places]
    own = [z for a in "xy" for z in moments.own[a].values()]
    return _row(head, [*shifts, *own, *moments.cross.values()])


def unpack_moments(
    flat: Tensor,  # (k P,): of k processes
    rows: Sequence[str],
    columns: Sequence[str],
    flatten: Callable[[Tensor], Tensor],
) -> LayerMoments | None:
    """The sums of all processes about one shift; None if there are none."""
    total = None
    layers = [*(("x", s) for s in rows), *(("y", s) for s in columns)]
    taking = _Taking(flat)
    while taking:
        head = [int(number) for number in taking((1 + 2 * len(layers),)).tolist()]
        units = dict(zip(layers, head[1 : 1 + len(layers)], strict=True))
        places = dict(zip(layers, head[1 + len(layers) :], strict=True))
        one = LayerMoments(flatten)
        one.n = head[0]
        for a, s in layers:
            one.places[a][s] = places[a, s]
            one.shift[a][s] = taking((units[a, s],))
        for a, s in layers:
            one.own[a][s] = taking((units[a, s] + 2,) * 2)
        one.cross = {p: taking(shape) for p, shape in one.shapes().items()}
        total = one if total is None else total.merge(one)
    return total


def pack_grams(grams: Grams) -> Tensor:  # (P,) float64
    """Sums in a row."""
    return _row([grams.n], [grams.cross, grams.own_x, grams.own_y])


def unpack_grams(
    flat: Tensor,  # (k P,): of k processes
    rows: Sequence[str],
    columns: Sequence[str],
) -> Grams | None:
    """The sums of all processes; None if there are none."""
    size = 1 + len(rows) * len(columns) + len(rows) + len(columns)
    taking = _Taking(flat.view(-1, size).sum(0) if len(flat) else flat)
    if not taking:
        return None
    n, cross = int(taking((1,))), taking((len(rows), len(columns)))
    own_x, own_y = taking((len(rows),)), taking((len(columns),))
    return Grams.of_sums(tuple(rows), tuple(columns), n, cross, own_x, own_y)


class _Taking:
    """Takes tensors off the front of a flat one."""

    def __init__(self, flat: Tensor) -> None:
        self.rest = flat

    def __bool__(self) -> bool:
        return len(self.rest) > 0

    def __call__(self, shape: Sequence[int]) -> Tensor:
        count = torch.Size(shape).numel()
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken.view(*shape)


def _row(head: list[int], tensors: list[Tensor]) -> Tensor:
    first = tensors[0].new_tensor(head)
    return torch.cat([first, *(tensor.flatten() for tensor in tensors)])


def _flat(sums: Any) -> Iterator[Tensor]:
    """A list before processes have met, one tensor afterwards."""
    yield from [sums] if isinstance(sums, Tensor) else sums
