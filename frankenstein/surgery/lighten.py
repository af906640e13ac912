"""Parts of frozen networks with less to do: the same bit for bit, or folded but for rounding."""

import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from frankenstein.surgery.assemble import fresh
from frankenstein.surgery.cut import Cut
from frankenstein.surgery.steps import called


def lighten(halves: Cut) -> Cut:
    """Halves for training what lies between them: the front is for passes without gradients.

    Its activations overwrite what nothing else reads. Weights are shared with those given, which
    stay as they are. Numbers and gradients are the same to the last bit.
    """
    return Cut(_in_place(halves.front), halves.end)


def _in_place(part: nn.Module) -> nn.Module:
    twin = copy.copy(part)
    if isinstance(twin, fx.GraphModule):
        work_in_place(twin)
    else:  # a part and what lays its result
        twin._modules = {name: _in_place(child) for name, child in part.named_children()}
    return twin


# Not behind a Linear: of (N, C, L) BatchNorm1d scales C, and the layer gives L.
_FOLDS: dict[type, type] = {
    nn.Conv1d: nn.BatchNorm1d,
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
}


_LAYOUT = frozenset({"as_strided", "stride", "view", "view_as", "view_as_complex"})


def fold(part: nn.Module) -> nn.Module:
    """A copy of what `cut` or `capture` gave, each BatchNorm multiplied into the layer before it.

    Equal to the part in evaluation mode up to float32's rounding. Its convolutions hold their
    weights channels-last, where no step asks how a tensor lies in memory (`x.view(len(x), -1)`),
    and activations overwrite what nothing else reads. On a CPU a Tiny-10 takes about two thirds of
    its time (benchmarks/).
    """
    # Modules are shared out anew, so that what is folded into one part stays out of the network.
    part = copy.deepcopy(part, _made(part)).requires_grad_(False)
    for module in part.modules():
        module.training = False
    for module in list(part.modules()):
        if isinstance(module, fx.GraphModule):
            _fold(module)
            work_in_place(module)
    graphs = [module for module in part.modules() if isinstance(module, fx.GraphModule)]
    asking = [graph for graph in graphs if _asks_for_layout(graph)]
    for graph in asking:  # they may be given what another part made channels-last
        _lay_inputs(graph)
    return part if asking or not graphs else part.to(memory_format=torch.channels_last)


def _asks_for_layout(part: fx.GraphModule) -> bool:
    """Whether a step needs a tensor to lie in memory as it did; code in hooks may, too."""
    names = {called(node) for node in part.graph.nodes}
    return not names.isdisjoint(_LAYOUT) or any(map(_has_hooks, part.modules()))


def _lay_inputs(part: fx.GraphModule) -> None:
    for node in part.graph.nodes:
        if node.op == "placeholder":
            with part.graph.inserting_after(node):
                laid = part.graph.call_method("contiguous", (node,))
            node.replace_all_uses_with(laid, lambda user, laid=laid: user is not laid)
    part.recompile()


def _made(part: nn.Module) -> dict[int, Any]:
    """Tensors that modules made of their weights, as what `deepcopy` is to put for them."""
    held = [x for module in part.modules() for x in vars(module).values()]
    return {id(x): x.detach().clone() for x in held if isinstance(x, Tensor) and not x.is_leaf}


def _has_hooks(module: nn.Module) -> bool:
    """Whether code is called with what a module takes or gives: it is to see what it always saw."""
    forward = module._forward_pre_hooks or module._forward_hooks
    return bool(forward or module._backward_pre_hooks or module._backward_hooks)


def _fold(part: fx.GraphModule) -> None:
    calls = [node for node in part.graph.nodes if node.op == "call_module"]
    uses = [str(node.target) for node in calls]
    # Steps that read a layer's weights are to read those of the network.
    uses += [
        str(node.target).rpartition(".")[0] for node in part.graph.nodes if node.op == "get_attr"
    ]
    for norm in calls:
        layer = norm.all_input_nodes[0]
        alone = layer.op == "call_module" and len(layer.users) == 1
        if not alone or uses.count(str(layer.target)) > 1:  # its weights serve elsewhere, too
            continue
        first, second = (part.get_submodule(str(one.target)) for one in (layer, norm))
        statistics = getattr(second, "running_mean", None)
        if _FOLDS.get(type(first)) is not type(second) or statistics is None:
            continue
        if not _has_hooks(first) and not _has_hooks(second):
            folded: nn.Module = fuse_conv_bn_eval(first, second)  # type: ignore
            part.set_submodule(str(layer.target), folded)
            norm.replace_all_uses_with(layer)
            part.graph.erase_node(norm)
    part.recompile()


def overwriting(part: nn.Module) -> nn.Module:
    """A part without gradients, such as `fold` gives, that may overwrite what it is given.

    Weights are shared with the part, which stays as it is.
    """
    twin = copy.copy(part)
    if not isinstance(twin, fx.GraphModule):
        return twin
    twin._modules = dict(part._modules)
    work_in_place(twin, lambda node: node.op == "placeholder" or fresh(node))
    return twin


def work_in_place(part: fx.GraphModule, free: Callable[[fx.Node], bool] = fresh) -> None:
    """Let activations of a part that can write into their input do so where nothing else reads it.

    The part gets modules of its own for that; those that it shares stay as they are. For passes
    without gradients. Steps whose tensors are `free` may be overwritten.
    """
    calls: dict[str, list[fx.Node]] = defaultdict(list)
    for node in part.graph.nodes:
        if node.op == "call_module":
            calls[str(node.target)].append(node)
    for name, nodes in calls.items():
        module = part.get_submodule(name)
        if not hasattr(module, "inplace") or _has_hooks(module):
            continue
        read = [node.all_input_nodes[0] for node in nodes]
        if all(free(z) and len(z.users) == 1 for z in read):
            module = copy.copy(module)
            module.inplace = True  # type: ignore[assignment]
            part.set_submodule(name, module)
