"""Modules of a network: their paths, which are one step, and what wraps them."""

import traceback
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

_CONTAINERS = (
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
)
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one step: PyTorch's own, unless it is made of what may be cut between."""
    if isinstance(module, torch.jit.ScriptModule):
        return True
    return type(module).__module__.startswith("torch.nn.") and not isinstance(module, _CONTAINERS)


def unwrapped(network: nn.Module) -> nn.Module:
    """The user's network inside of what runs it on several devices, or compiled."""
    while not isinstance(network, torch.jit.ScriptModule):
        inner = network._modules.get("_orig_mod")  # of torch.compile
        if isinstance(network, _WRAPPERS):
            inner = network.module
        if not isinstance(inner, nn.Module):
            break
        network = inner
    return network


def paths(network: nn.Module) -> dict[str, nn.Module]:
    """Every module of a network once, by its first path; wrappers are looked through."""
    found: dict[str, nn.Module] = {}
    seen: set[nn.Module] = set()

    def visit(module: nn.Module, path: str) -> None:
        module = unwrapped(module)
        if module in seen:
            return
        seen.add(module)
        found[path] = module
        for name, child in module._modules.items():
            if child is not None:
                visit(child, f"{path}.{name}" if path else name)

    visit(network, "")
    return found


def tensor_paths(modules: dict[str, nn.Module]) -> dict[int, str]:
    """The first path of every parameter and buffer, by id."""
    found: dict[int, str] = {}
    for path, module in modules.items():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None:
                found.setdefault(id(tensor), f"{path}.{name}".lstrip("."))
    return found


def tensors_of(module: nn.Module) -> list[int]:
    """The ids of a module's weights and buffers, and of its parts'."""
    return [
        id(x)
        for part in module.modules()
        for x in (*part._parameters.values(), *part._buffers.values())
    ]


def has_code(module: nn.Module) -> bool:
    """Whether code of the user's runs inside of a module."""
    return any(
        part._forward_pre_hooks
        or part._forward_hooks
        or "forward" in vars(part)
        or not type(part).__module__.startswith("torch.")
        for part in module.modules()
    )


def put(root: nn.Module, path: str, value: Any) -> None:
    """A module, tensor or other object of the network under its own name: the object itself."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root._modules[name]  # type: ignore[assignment]
    if isinstance(value, nn.Module):  # perhaps in the place of one that held its weights alone
        root._modules[last] = value
        return
    if hasattr(root, last):
        return
    if isinstance(value, nn.Parameter):
        root.register_parameter(last, value)
    elif isinstance(value, Tensor):
        root.register_buffer(last, value)
    else:
        setattr(root, last, value)


def title_of(network: nn.Module) -> str:
    """What messages call a network."""
    return type(network).__name__.lstrip("_")


def place_of(error: Exception) -> str:
    """Where in the network's own code an error arose, as the end of a sentence."""
    ours = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(ours):
            return f" ({Path(frame.filename).name}, line {frame.lineno}: {frame.line})"
    return ""
