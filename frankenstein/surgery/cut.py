"""Cut a network in two: train -> cut -> stitch."""

from typing import NamedTuple

from torch import fx, nn

from frankenstein.surgery.assemble import assemble
from frankenstein.surgery.cut_points import carriers, leaks, narrows
from frankenstein.surgery.trace import LayerError, Trace, trace

_LEAKS_NAMED = 3


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
