"""A part of a traced network as a module of its own: what cut and capture return."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import fx

from frankenstein.surgery.memory import overwritten, sharing, written
from frankenstein.surgery.trace import Trace


def assemble(
    traced: Trace, given: Sequence[fx.Node], nodes: Sequence[fx.Node], result: Any
) -> fx.GraphModule:
    """A module that takes `given`, runs those of `nodes` that `result` needs, and returns `result`.

    It shares the network's submodules, each in the mode it is in, and never writes into its input.
    """
    steps = needed([*given, *nodes], _nodes_in(result), given)
    # An in-place ReLU right behind the cut would overwrite a tensor that the caller still holds.
    guarded = overwritten(steps).intersection(given)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in given:
        copies[node] = _entrance(graph, node)
    for node in guarded:
        copies[node] = graph.call_method("clone", (copies[node],))
    for node in steps:
        if node not in copies:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(fx.map_arg(result, copies.__getitem__))

    part = fx.GraphModule(traced.module, graph, traced.title)
    for path, module in part.named_modules():
        # fx makes new containers (`layer1`) around the shared layers, all in training mode.
        module.training = traced.network.get_submodule(path).training
    return part


def needed(
    nodes: Sequence[fx.Node], targets: Iterable[fx.Node], given: Sequence[fx.Node] = ()
) -> list[fx.Node]:
    """Those of `nodes` that the targets come from, with all that writes into what is read.

    What the `given` ones come from is not needed.
    """
    groups = sharing(nodes)
    kept = set(targets)
    read = {mate for target in kept for mate in groups.get(target, {target})}
    for node in reversed([node for node in nodes if node not in given]):
        checks = node.op == "call_function" and node.is_impure()  # torch._assert
        if node in kept or checks or read.intersection(written(node)):
            kept.add(node)
            kept.update(node.all_input_nodes)
            read.update(*(groups.get(source, {source}) for source in node.all_input_nodes))
    return [node for node in nodes if node in kept]


def _entrance(graph: fx.Graph, node: fx.Node) -> fx.Node:
    return graph.node_copy(node) if node.op == "placeholder" else graph.placeholder(node.name)


def _nodes_in(result: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.map_arg(result, found.append)
    return found
