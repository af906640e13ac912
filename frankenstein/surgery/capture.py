"""Read representations out of a network, without hooks."""

from collections.abc import Iterable

from torch import fx, nn

from frankenstein.surgery.assemble import assemble, overwritten
from frankenstein.surgery.cut import is_several
from frankenstein.surgery.trace import LayerError, Trace, trace


def capture(network: nn.Module, layers: Iterable[str]) -> nn.Module:
    """A module from the input to `{layer: representation}`, in one pass that ends at the last one.

    Any layer will do, cut point or not, and those inside of torchvision's own blocks. Each tensor
    is what its layer computed, even where the network goes on to overwrite it. Weights, modes and
    names are as with `cut`; the network is left as it was.

    Raises:
        LayerError: if there is no such layer, or it gives several tensors at once.

    >>> import torch
    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True), nn.Linear(3, 2))
    >>> representations = capture(network, ["0", "1"])(torch.ones(5, 4))
    >>> torch.equal(representations["0"].relu(), representations["1"])
    True
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    if not layers:
        raise LayerError("capture needs at least one layer; cut_points(network) lists some")
    traced = trace(network, inside=True)
    wanted = {layer: _single(traced, layer) for layer in layers}
    nodes = traced.nodes
    last = max(nodes.index(node) for node in wanted.values())
    for node in reversed(nodes[last + 1 :]):
        node.graph.erase_node(node)
    lost = overwritten(traced.nodes)
    kept = {layer: _copy(node) if node in lost else node for layer, node in wanted.items()}
    return assemble(traced, traced.inputs, traced.nodes, kept)


def _single(traced: Trace, layer: str) -> fx.Node:
    node = traced.blocks.get(layer) or traced.find(layer)
    if is_several(node):
        raise LayerError(
            f"{layer!r} of {traced.title} gives several tensors; name a layer behind it"
        )
    return node


def _copy(node: fx.Node) -> fx.Node:
    """A new step right behind this one, holding what the tensor is at that moment."""
    with node.graph.inserting_after(node):
        return node.graph.call_method("clone", (node,))
