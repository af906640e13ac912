"""Activations that overwrite what nothing else reads."""

import copy
from collections import defaultdict

from torch import fx

from frankenstein.surgery.memory import fresh


def work_in_place(part: fx.GraphModule) -> None:
    """Let activations of a part that can write into their input do so where nothing else reads it.

    The part gets modules of its own for that; those that it shares stay as they are. For passes
    without gradients.
    """
    calls: dict[str, list[fx.Node]] = defaultdict(list)
    for node in part.graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)].append(node)
    for name, nodes in calls.items():
        module = copy.copy(part.get_submodule(name))
        read = [node.all_input_nodes[0] for node in nodes]
        if hasattr(module, "inplace") and all(fresh(z) and len(z.users) == 1 for z in read):
            module.inplace = True  # type: ignore[assignment]
            part.set_submodule(name, module)
