"""Where the input's data goes in a traced network, and the narrow places it all goes through."""

import operator

from torch import fx

from frankenstein.surgery.assemble import needed
from frankenstein.surgery.trace import Trace


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
