"""Which axis of a tensor its units lie on: told by what made it, not by its shape."""

import math
from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from frankenstein.surgery.fakes import numbers
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.record import record
from frankenstein.surgery.refusal import ValuesError
from frankenstein.surgery.steps import Record, called, once

Shape = tuple[int, ...]

# By their units come first behind the batch, and last.
_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_LAST = (nn.Linear, nn.Bilinear, nn.Embedding, nn.LayerNorm, nn.RMSNorm, nn.RNNBase)
_FIRST_NAMES = {"batch_norm", "instance_norm", "group_norm"}  # and what begins with conv
_LAST_NAMES = {"linear", "bilinear", "embedding", "layer_norm", "rms_norm"}
_TURNS = {"transpose", "swapaxes", "swapdims"}
_ORDERS = {"permute", "movedim", "moveaxis", "t", *_TURNS}
_SHAPES = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"}
_REDUCES = {"mean", "sum", "amax", "amin", "std", "var", "logsumexp", "norm"}


@once
def unit_axes(steps: Record) -> dict[fx.Node, int]:
    """The axis of units, counted with the batch, of every step of which it is known.

    Convolutions and BatchNorm have their channels first, linear layers and LayerNorm last; from
    there on it is followed through everything that moves, merges, drops or keeps axes. Where
    tensors meet that disagree, as behind the MLP of a Mixer that exchanges axes and back, what came
    first in the network counts: the stream, and not the branch. Of a matrix (N, D) it is 1.
    """
    sizes, shapes, found = steps.sizes(), dict[fx.Node, Shape](), dict[fx.Node, int]()
    for node in steps.nodes:  # what is found first stands first, for `_axis`
        if node in steps.facts:
            shapes[node] = numbers(steps.facts[node].shape, sizes)
        axis = _axis(steps, node, shapes, found)
        shape = shapes.get(node, ())
        if len(shape) == 2 and node.op != "placeholder":
            axis = 1
        if axis is not None and 0 < axis < len(shape):
            found[node] = axis
    return found


def unit_axis(network: nn.Module, layer: str, inputs: Inputs | None = None) -> int | None:
    """That of a layer or a block of a network; None if it is not known."""
    try:
        steps = record(network, inputs)
    except ValuesError:
        return None
    return unit_axes(steps).get(steps.find(layer))


def _axis(
    steps: Record, node: fx.Node, shapes: dict[fx.Node, Shape], found: dict[fx.Node, int]
) -> int | None:
    shape = shapes.get(node, ())
    if node.op == "placeholder":
        return 1 if node is steps.main and len(shape) > 3 else None  # images, channels first
    name = called(node)
    module = steps.modules.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, _FIRST) or name in _FIRST_NAMES or name.startswith("conv"):
        return 1
    if isinstance(module, _LAST) or name in _LAST_NAMES:
        return len(shape) - 1
    given = set(node.all_input_nodes)
    source = next((one for one in found if one in given), None) if given & found.keys() else None
    if source is None:
        return _of_part(node, shape, shapes, found) if name == "getitem" else None
    axis, before = found[source], shapes[source]
    if name == "getitem":
        return _indexed(node.args[1], axis, len(before))
    if name in _REDUCES and len(shape) < len(before):
        return _reduced(node, axis, len(before))
    if name in _ORDERS:
        order = _order(node, name, len(before))
        return order.index(axis) if axis in order else None
    if name in _SHAPES or isinstance(module, nn.Flatten | nn.Unflatten):
        return _reshaped(before, shape, axis)
    return axis if len(before) == len(shape) else None


def _order(node: fx.Node, name: str, rank: int) -> list[int]:
    """Where each axis of what a step gives comes from."""
    given: list[Any] = [*node.args[1:], *node.kwargs.values()]
    flat = [n for one in given for n in (one if isinstance(one, list | tuple) else [one])]
    if not all(isinstance(n, int) for n in flat):
        return []
    axes = [n % rank for n in flat]
    if name == "permute":
        return axes
    order = list(range(rank))
    if name == "t":
        return order[::-1]
    if len(axes) != 2:
        return []
    if name in _TURNS:
        order[axes[0]], order[axes[1]] = axes[1], axes[0]
    else:
        order.insert(axes[1], order.pop(axes[0]))
    return order


def _reduced(node: fx.Node, axis: int, rank: int) -> int | None:
    dims: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    dims = [dims] if isinstance(dims, int) else dims
    if not isinstance(dims, list | tuple):
        return None
    gone = {int(dim) % rank for dim in dims}
    return None if axis in gone else axis - sum(dim < axis for dim in gone)


def _indexed(index: Any, axis: int, rank: int) -> int | None:
    """Where an axis is behind an index of slices, numbers, None and an ellipsis."""
    parts: Sequence[Any] = index if isinstance(index, tuple | list) else [index]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis in [part for part in parts if part is None or part is Ellipsis]:
        place = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts = [*parts[:place], *[slice(None)] * (rank - taken), *parts[place + 1 :]]
    else:
        parts = [*parts, *[slice(None)] * (rank - taken)]
    old = new = 0
    for part in parts:
        if part is None:
            new += 1
        elif isinstance(part, slice):
            if old == axis:
                return new
            old, new = old + 1, new + 1
        elif isinstance(part, int):
            if old == axis:
                return None
            old += 1
        else:
            return None
    return None


def _reshaped(before: Shape, shape: Shape, axis: int) -> int | None:
    """Where an axis is that as many numbers lie in front of, and that is as long."""
    front, length = math.prod(before[:axis]), before[axis]
    return next(
        (i for i in range(1, len(shape)) if (math.prod(shape[:i]), shape[i]) == (front, length)),
        None,
    )


def _of_part(
    node: fx.Node, shape: Shape, shapes: dict[fx.Node, Shape], found: dict[fx.Node, int]
) -> int | None:
    """Of one of the tensors that chunk, split or a module gives: as that which they are part of."""
    whole: Any = node.args[0]
    source = next((one for one in whole.all_input_nodes if one in found), None)
    if source is None or len(shapes[source]) != len(shape):
        return None
    return found[source]
