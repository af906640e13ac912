"""Where a network can be cut: places that all data goes through, and their shapes."""

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.assemble import needed
from frankenstein.surgery.trace import LayerError, Trace, evaluating, trace

_IMAGENET = (3, 224, 224)
_EXAMPLES = 2


def cut_points(
    network: nn.Module, input_shape: tuple[int, ...] | None = None
) -> dict[str, tuple[int, ...]]:
    """The layers after which `cut` is allowed, in order of execution, with one example's shape.

    Shapes leave out the batch axis and are those of an input of `input_shape`, which is the
    network's own `input_shape` where it has one, else 3 x 224 x 224. A layer whose first axis is
    not the batch (windows of an image, say) is left out.

    Cost: one forward pass of two examples, in evaluation mode; the network is left as it was.

    Raises:
        LayerError: if the network does not take that input, or its control flow depends on data.

    >>> cut_points(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), input_shape=(4,))
    {'0': (3,), '1': (3,)}
    """
    traced = trace(network)
    own: Any = getattr(network, "input_shape", _IMAGENET)
    shape = tuple(own if input_shape is None else input_shape)
    some = next(network.parameters(), torch.empty(0))
    recorder = _Recorder(traced.module)
    try:
        with evaluating(network), torch.no_grad():
            recorder.run(torch.zeros(_EXAMPLES, *shape, dtype=some.dtype, device=some.device))
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise LayerError(
            f"{traced.title} does not take input of shape {shape} ({reason}); "
            "give input_shape=(C, H, W)"
        ) from error
    return {
        traced.name(node): recorder.shapes[node][1:]
        for node in narrows(traced)
        if recorder.shapes.get(node, ())[:1] == (_EXAMPLES,)
    }


class _Recorder(fx.Interpreter):
    """Runs a graph step by step and writes down the shapes of tensors."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if isinstance(value, Tensor):
            self.shapes[node] = tuple(value.shape)
        return value


def carriers(traced: Trace) -> dict[fx.Node, list[fx.Node]]:
    """The steps that hold data from the input, with the steps that use it, in order of execution.

    A step that nothing uses on the way to the output is not among the users. Data is anything: a
    tensor's shape counts.
    """
    nodes = traced.nodes
    position = {node: i for i, node in enumerate(needed(nodes, nodes[-1:]))}
    found: dict[fx.Node, list[fx.Node]] = {}
    for node in position:
        if node.op == "placeholder" or any(source in found for source in node.all_input_nodes):
            found[node] = sorted(position.keys() & node.users.keys(), key=position.__getitem__)
    return found


def narrows(traced: Trace) -> list[fx.Node]:
    """The cut points in order of execution: steps whose tensor is all that later ones build on."""
    position = {node: i for i, node in enumerate(traced.nodes)}
    found: list[fx.Node] = []
    horizon = 0  # the last use of anything computed before
    for node, users in carriers(traced).items():
        last = position[users[-1]] if users else 0
        inner = node.op not in ("placeholder", "output") and node in traced.names
        if inner and horizon <= position[node] < last and not is_several(node):
            found.append(node)
        horizon = max(horizon, last)
    return found


def leaks(traced: Trace, at: fx.Node) -> dict[fx.Node, fx.Node]:
    """The steps whose data goes around a cut after `at`, each with its first user beyond."""
    position = {node: i for i, node in enumerate(traced.nodes)}
    found: dict[fx.Node, fx.Node] = {}
    for node, users in carriers(traced).items():
        beyond = [user for user in users if position[user] > position[at]]
        if beyond and position[node] < position[at]:
            found[node] = beyond[0]
    return found


def is_several(node: fx.Node) -> bool:
    """Whether a step gives several tensors (chunk, MultiheadAttention), told by its users."""
    return any(
        user.target is operator.getitem and isinstance(user.args[1], int) for user in node.users
    )
