"""Where a network can be cut, and the cut itself: train -> cut -> stitch."""

import operator
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.assemble import assemble, needed
from frankenstein.surgery.trace import LayerError, Trace, evaluating, trace

_LEAKS_NAMED = 3
_IMAGENET = (3, 224, 224)
_EXAMPLES = 2


class Cut(NamedTuple):
    """The halves of a network; `end(front(x))` is `network(x)` bit for bit."""

    front: nn.Module
    end: nn.Module


def cut(network: nn.Module, after: str) -> Cut:
    """The part of a network up to a layer, that layer included, and the part behind it.

    Both are graphs that share the network's weights and the modes of its layers; the network is
    left as it was, and neither half writes into its input. Layers are named as torchvision's
    feature extraction names them (`layer1.0.add`). What depends on `self.training` outside of a
    module of its own, such as functional dropout, is as at evaluation.

    Cut a network where it is to stay: `.to(device)` afterwards moves shared weights for both, but
    replaces tensors that are not parameters.

    Raises:
        LayerError: if data goes around that layer, with the tensors that leak and the nearest cut
            points; if there is no such layer; if the network's control flow depends on data.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> front, end = cut(network, after="1")
    >>> x = torch.ones(5, 4)
    >>> torch.equal(end(front(x)), network(x))
    True
    """
    traced = trace(network)
    layer = traced.find(after)
    _check(traced, layer)
    nodes = traced.nodes
    place = nodes.index(layer)
    # Constants, such as a class token, belong to both halves.
    moving = carriers(traced)
    behind = [node for node in nodes[:place] if node not in moving] + nodes[place + 1 : -1]
    return Cut(
        front=assemble(traced, traced.inputs, nodes[: place + 1], layer),
        end=assemble(traced, [layer], behind, nodes[-1].args[0]),
    )


def _check(traced: Trace, layer: fx.Node) -> None:
    """Raise LayerError unless the layer is a cut point."""
    points = narrows(traced)
    if layer in points:
        return
    around = leaks(traced, layer)
    if layer.op == "placeholder":
        reason = "that is the input, not a layer"
    elif not carriers(traced).get(layer):
        reason = "it is not on the way from the input to the output"
    elif around:
        ways = [
            f"{traced.name(a)!r} goes around it to {traced.name(b)!r}" for a, b in around.items()
        ]
        more = len(ways) - _LEAKS_NAMED
        reason = ", ".join(ways[:_LEAKS_NAMED]) + (f", and {more} more" if more > 0 else "")
    else:
        reason = "it gives several tensors"
    raise LayerError(
        f"cannot cut {traced.title} after {traced.name(layer)!r}: {reason}; "
        + _nearest(traced, layer, points)
    )


def _nearest(traced: Trace, layer: fx.Node, points: list[fx.Node]) -> str:
    """The cut points next to a layer, as the end of a message."""
    nodes = traced.nodes
    before = [node for node in points if nodes.index(node) < nodes.index(layer)][-1:]
    behind = [node for node in points if nodes.index(node) > nodes.index(layer)][:1]
    names = [repr(traced.name(node)) for node in before + behind]
    return f"nearest cut points: {', '.join(names)}" if names else "it has no cut point"


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
