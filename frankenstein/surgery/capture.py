"""Read representations out of a network, without hooks."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from torch import fx, nn

from frankenstein.errors import did_you_mean
from frankenstein.surgery.assemble import assemble, overwritten
from frankenstein.surgery.cut import behind, is_several
from frankenstein.surgery.halves import arguments_of
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.modules import put
from frankenstein.surgery.record import record
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.sized import for_all_sizes
from frankenstein.surgery.steps import Record, attribute

OUTPUT = ""  # what the whole network gives, as torch names the whole
Fold = Callable[[str, Any], Any]  # of a layer's name and what it gives


def capture(
    network: nn.Module,
    layers: Iterable[str],
    inputs: Inputs | None = None,
    fold: Fold | None = None,
) -> nn.Module:
    """A module from the input to `{layer: representation}`, in one pass that ends at the last one.

    Any layer will do, cut point or not, and `OUTPUT` for what the network gives. Each tensor is
    what its layer computed, even where the network goes on to overwrite it. Inputs, weights, modes
    and names are as with `cut`; the network is left as it was. With `fold` the module gives what
    that makes of each layer when it is there, and no representation outlives the steps that need
    it.

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
    steps = record(network, inputs)
    return for_all_sizes(steps, network, partial(_captured, layers=layers, fold=fold))


def capture_behind(end: nn.Module, layers: Iterable[str]) -> nn.Module:
    """A module from the representation at a cut to `{layer: representation}` of layers behind it.

    `end` is that of `cut`; layers are called as in the whole network, `OUTPUT` is what it gives.

    Raises:
        LayerError: as `capture`, or for a layer that does not lie behind the cut.
    """
    arguments, layers = arguments_of(end), list(layers)
    network = None if arguments is None else arguments.known()
    if arguments is None or arguments.entrance is None or network is None:
        return capture(end, layers)  # it runs the network's own code, whose names it has
    steps, entrance = arguments.record, arguments.entrance
    wanted = {layer: _single(steps, layer) for layer in layers}
    nodes = behind(steps, entrance)
    for layer, node in wanted.items():
        at_the_cut = layer == OUTPUT and node is entrance  # nothing lies behind it
        if node not in nodes and not at_the_cut:
            names = [steps.name(one) for one in nodes if one in steps.names]
            raise LayerError(
                f"{layer!r} of {steps.title} does not lie behind {steps.name(entrance)!r}"
                f"{did_you_mean(layer, names)}"
            )
    held = overwritten(nodes).intersection(wanted.values())
    part = assemble(steps, network, nodes, wanted, entrance, held)
    for node in part.graph.nodes:  # a copy of an end has modules of its own
        if node.op in ("call_module", "get_attr"):
            with suppress(AttributeError):  # what the answer does not need, the end has not
                put(part, str(node.target), attribute(end, node))
    return part


def _captured(steps: Record, network: nn.Module, layers: list[str], fold: Fold | None) -> nn.Module:
    wanted = {layer: _single(steps, layer) for layer in layers}
    nodes = steps.nodes
    nodes = nodes[: max(nodes.index(node) for node in wanted.values()) + 1]
    if fold is not None:
        return assemble(steps, network, nodes, wanted, fold=fold)
    held = overwritten(nodes).intersection(wanted.values())
    return assemble(steps, network, nodes, wanted, held=held)


def _single(steps: Record, layer: str) -> fx.Node:
    node = steps.nodes[-1].args[0] if layer == OUTPUT else steps.find(layer)
    if not isinstance(node, fx.Node) or is_several(node):
        raise LayerError(
            f"{layer or 'the output'!r} of {steps.title} gives several tensors; name a layer "
            "that gives one"
        )
    return node
