"""What a network's code reads out of its weights: numbers that its steps were recorded with.

`scale = self.temperature.item()`, `if self.ready:`. The code goes on with the number, so the steps
hold it as it was. A step of its own compares it with the weights as they are.
"""

from typing import Any

import numpy as np
import torch
from torch import fx
from torch.fx.node import has_side_effect

from frankenstein.surgery.fakes import without_fakes
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Record, attribute

# How code gets at the numbers in a tensor.
READS = frozenset(
    {
        *("__array__", "__bool__", "__complex__", "__float__", "__index__", "__int__"),
        *("item", "numpy", "tolist"),
    }
)


def read(record: Record, node: fx.Node, name: str, args: Any, kwargs: Any) -> Any:
    """The numbers in what a step gives, and a step that compares them; None if inputs are in it."""
    try:
        with without_fakes(), torch.no_grad():
            value = getattr(_value(record, node, {}), name)(*args, **kwargs)
    except _Unknown:
        return None
    now = record.graph.call_method(name, (node, *args), kwargs)
    record.graph.call_function(unchanged, (now, np.asarray(value).tolist(), record.title))
    return value


def hold(record: Record) -> bool:
    """Whether the weights still hold the numbers that were read out of them."""
    try:
        with torch.no_grad():
            known: dict[fx.Node, Any] = {}
            for node in record.nodes:
                if node.target is unchanged:
                    _value(record, node, known)
    except LayerError:
        return False
    return True


@has_side_effect
def unchanged(now: Any, before: Any, title: str) -> None:
    """Raise LayerError if numbers in weights are others than when the steps were recorded."""
    if not np.array_equal(np.asarray(now), np.asarray(before), equal_nan=True):
        raise LayerError(
            f"the code of {title} reads numbers out of its weights, {before} when it was "
            f"cut and are {now}; cut it again"
        )


class _Unknown(Exception):  # noqa: N818 - nothing went wrong
    """What a step gives depends on inputs, or it writes into what others read."""


def _value(record: Record, node: fx.Node, known: dict[fx.Node, Any]) -> Any:
    """What a step gives that depends on weights alone."""
    if node.op == "placeholder" or "writes" in node.meta:
        raise _Unknown
    if node not in known:
        args, kwargs = fx.map_arg((node.args, node.kwargs), lambda one: _value(record, one, known))
        match node.op:
            case "get_attr":
                known[node] = attribute(record.root, node)
            case "call_module":
                known[node] = record.modules[str(node.target)](*args, **kwargs)
            case "call_method":
                known[node] = getattr(args[0], str(node.target))(*args[1:], **kwargs)
            case _ if callable(node.target):
                known[node] = node.target(*args, **kwargs)
    return known[node]
