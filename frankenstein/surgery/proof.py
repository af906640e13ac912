"""Recording proves itself: on the first batch the recorded steps run beside the network.

They must be equal to the last bit; on a GPU, as equal as two runs of the network itself. A batch of
other sizes is foreseen if only free sizes differ and every branch that the network took on sizes
would be taken again; where one is not, the steps prove themselves anew.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.fakes import fixed, foreseen
from frankenstein.surgery.inputs import Call
from frankenstein.surgery.marks import marks_of
from frankenstein.surgery.pieces import pieces, principal
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Record
from frankenstein.surgery.untouched import untouched

_OTHER_SEED = 1_000_003
_SLACK = 4  # by chance two runs of the steps may differ more than two of the network


def ready(record: Record, network: nn.Module | None, call: Call, tensors: Sequence[Tensor]) -> None:
    """Return if the steps are the network's for these inputs, or it has got other parts since.

    Raises:
        LayerError: if they are not.
    """
    kinds = (*((x.dtype, _layout(x)) for x in tensors), *_precision(tensors[0]))
    mark = (*kinds, *(x.shape for x in tensors))
    if mark in record.seen:
        return
    recorded = [record.facts[node].shape for node in record.inputs]
    shapes = list(zip(recorded, (x.shape for x in tensors), strict=True))
    if kinds not in record.proved or _surprises(foreseen(shapes, record.conditions)):
        if network is not None:
            _prove(record, network, call, tensors)
        record.proved.add(kinds)
    record.seen.add(mark)


def ready_behind(
    record: Record,
    network: nn.Module | None,
    entrance: fx.Node,
    z: Tensor,
    beside: Mapping[fx.Node, Tensor],
) -> None:
    """The same for an end half, which sees a representation and what it is given beside it.

    Raises:
        LayerError: if the steps are not the network's, or no batch had such a representation.
    """
    given = [(record.facts[node].shape, x.shape) for node, x in beside.items()]
    mark = entrance, z.shape, z.dtype, _precision(z), *(now for _, now in given)
    if mark in record.seen:
        return
    shape, dtype = record.facts[entrance]
    sizes = foreseen([(shape, z.shape)])
    known = fixed(shape, z.shape) in record.others.get(entrance, ())
    if sizes is None and record.reads_sizes and not known:
        raise LayerError(
            f"the end of {record.title} behind {record.name(entrance)!r} takes a representation of "
            f"{_by(one if isinstance(one, int) else 'N' for one in shape)}, got {_by(z.shape)}; "
            "give a batch of that size as inputs="
        )
    shapes = [(shape, z.shape), *given]
    surprises = sizes and _surprises(foreseen(shapes, record.conditions))
    cast = torch.is_autocast_enabled(z.device.type)
    proved = {kinds[len(record.inputs) :] for kinds in record.proved}
    if surprises or _precision(z) not in proved or (z.dtype != dtype and not cast):
        call = record.example(foreseen(shapes) or sizes or {})
        if z.dtype != dtype and not cast:  # the network may be of another precision now
            call = call.map(lambda x: x.to(z.dtype) if x.is_floating_point() else x)
        ready(record, network, call, record.tensors(call))
    record.seen.add(mark)


def _surprises(sizes: dict[Any, int] | None) -> bool:
    """Whether a batch of these sizes may take other branches; PyTorch takes none to be 0 or 1."""
    return sizes is None or any(size < 2 for size in sizes.values())


def _layout(x: Tensor) -> tuple[int, ...]:
    """How a tensor lies in memory, if not in the usual way: code may ask for its strides."""
    return () if x.is_contiguous() else x.stride()


def _prove(record: Record, network: nn.Module, call: Call, tensors: Sequence[Tensor]) -> None:
    try:
        with torch.inference_mode(False), torch.no_grad():
            _compare(record, network, call, tensors)
    except Exception:
        if record.marks.modules == marks_of(network).modules:
            raise


def _compare(record: Record, network: nn.Module, call: Call, tensors: Sequence[Tensor]) -> None:
    def run(seed: int | None = None) -> tuple[list[Any], bool]:
        """What the network gives, and whether it has drawn random numbers for it."""
        with untouched(network) as changed, _hooked(record, network):
            if seed is not None:
                torch.manual_seed(seed)
            before, buffers = _random_state(tensors[0]), _buffers(network)
            out = once()
            drew = before != _random_state(tensors[0])
            written.update(repr(one[0]) for one in _buffers(network) - buffers)
        keeps.append(bool(changed))
        return out, drew

    def once(change: Callable[[Tensor], Tensor] = Tensor.clone) -> list[Any]:
        mine = call.map(change)
        return pieces(principal(network(*mine.args, **mine.kwargs)))

    def again() -> list[Any]:
        """What it gives the second time, with what it has kept from other examples."""
        with untouched(network), _hooked(record, network):
            once(_others)
            return once()

    keeps: list[bool] = []
    written: set[str] = set()
    try:
        expected, drew = run()
    except Exception as error:
        if record.marks.hooks == marks_of(network).hooks:
            raise  # the network says itself what it does not take
        raise LayerError(
            f"{record.title} has other hooks than when it was cut, and does not run without those "
            "that came since; cut it again"
        ) from error
    if drew and not all(map(_equal, expected, run(seed=_OTHER_SEED)[0])):
        raise LayerError(
            f"{record.title} gives something else each time, for it draws random numbers at "
            "evaluation; switch that off, or give them as an input"
        )
    if keeps[0] and not drew and _differ(expected, again(), lambda: run()[0]) is not None:
        raise LayerError(
            f"{record.title} gives something else the second time, for it keeps "
            f"{', '.join(sorted(written)) or 'something'} from the first that its output depends "
            "on; change that in training only (if self.training), or give it as an input"
        )
    try:
        with untouched(network), _hooked(record, network):
            steps = _Sizes(record)
            found = pieces(steps.run(*(x.clone() for x in tensors)))
    except Exception as error:  # sizes that the network took for fixed meet others, anywhere
        reason = str(error).strip().partition("\n")[0]
        raise LayerError(f"{_refused(record, tensors)} ({reason})") from error
    difference = _differ(expected, found, lambda: run()[0])
    if difference is not None:
        raise LayerError(
            f"{_refused(record, tensors)} (the largest difference is {difference:.3g})"
        )
    for node, part in steps.others.items():
        record.others.setdefault(node, set()).add(part)


def _buffers(network: nn.Module) -> set[tuple[str, int, int]]:
    """The buffers as they are: another one, or one that was written into, is another entry."""
    named = network.named_buffers()
    return {(name, id(x), 0 if x.is_inference() else x._version) for name, x in named}


def _others(x: Tensor) -> Tensor:
    """Other examples: the first one instead of all, and duller."""
    x = x[:1].expand_as(x) if x.ndim else x
    return x * 0.5 + 0.25 if x.is_floating_point() else x.clone()


def _differ(expected: list[Any], found: list[Any], run: Callable[[], list[Any]]) -> float | None:
    """The largest difference, if it is larger than between two runs of the network."""
    if len(expected) == len(found) and all(map(_equal, expected, found)):
        return None
    spread = max(map(_distance, expected, run()), default=0.0)
    difference = max(map(_distance, expected, found), default=0.0)
    return None if difference <= _SLACK * spread else difference


@contextmanager
def _hooked(record: Record, network: nn.Module) -> Iterator[None]:
    """Those hooks alone that were recorded: others may count or keep."""
    kept: list[tuple[Any, dict[int, Any]]] = []
    try:
        for module in network.modules():
            for hooks in (module._forward_pre_hooks, module._forward_hooks):
                kept.append((hooks, dict(hooks)))
                for key in kept[-1][1]:
                    if key not in record.marks.hooks:
                        del hooks[key]
        yield
    finally:
        for hooks, held in kept:
            hooks.clear()
            hooks.update(held)


class _Sizes(fx.Interpreter):
    """Runs the steps, and notes what is of other sizes than when they were recorded."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.root, graph=record.graph)
        self.record = record
        self.others: dict[fx.Node, Any] = {}

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if isinstance(value, Tensor) and node in self.record.facts:
            part = fixed(self.record.facts[node].shape, value.shape)
            if part is not None:
                self.others[node] = part
        return value


def _refused(record: Record, tensors: Sequence[Tensor]) -> str:
    same = record.tensors(record.call)
    if [x.shape[1:] for x in tensors] == [x.shape[1:] for x in same]:
        return f"the recorded steps of {record.title} do not give what it gives"
    recorded, now = ([_by(x.shape[1:]) for x in one] for one in (same, tensors))
    return (
        f"the steps of {record.title} were recorded for inputs of {', '.join(recorded)} and are "
        f"others for {', '.join(now)}; give such a batch as inputs="
    )


def _random_state(x: Tensor) -> tuple[Any, ...]:
    """Of all generators that a network may draw from without naming one."""
    words: Any = np.random.get_state()
    device = torch.cuda.get_rng_state(x.device) if x.is_cuda else torch.empty(0)
    tensors = torch.get_rng_state(), device
    numbers = (words[1].tobytes(), *words[2:])
    return random.getstate(), numbers, *(one.numpy().tobytes() for one in tensors)


def _precision(x: Tensor) -> tuple[Any, ...]:
    kind = x.device.type
    return kind, torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)


def _equal(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor):
        return type(one) is type(other) and one == other
    same = isinstance(other, Tensor) and one.shape == other.shape and one.dtype == other.dtype
    return same and bool(((one == other) | ((one != one) & (other != other))).all())


def _distance(one: Any, other: Any) -> float:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor) or one.shape != other.shape:
        return float("inf")
    return float((one.double() - other.double()).abs().max()) if one.numel() else 0.0


def _by(sizes: Any) -> str:
    return " x ".join(map(str, sizes)) or "one number"
