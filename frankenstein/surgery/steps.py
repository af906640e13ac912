"""A network as the steps that it does: what recording gives, and what cut and capture work on."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, fx, nn

from frankenstein.errors import did_you_mean
from frankenstein.surgery.inputs import Call, named, resized
from frankenstein.surgery.marks import Link, Marks, Place, links_of, replaced, unbroken
from frankenstein.surgery.refusal import LayerError

T = TypeVar("T")

# What Python writes `+=` and its like as.
_OPERATORS = "add sub mul matmul truediv floordiv mod pow and or xor lshift rshift"
IN_PLACE = frozenset(f"i{name}" for name in _OPERATORS.split())


class Fact(NamedTuple):
    """What is known of the tensor that a step gives."""

    shape: tuple[Any, ...]  # numbers, and expressions of symbols for sizes that are free
    dtype: torch.dtype


@dataclass(eq=False)
class Record:
    """What a network does at evaluation, step by step; shares the network's weights.

    Steps are those of torch.fx: modules of torch.nn, functions and methods. Steps that compute
    sizes carry their expression as `meta["size"]`, the one that asks for the device
    `meta["device"]`.
    """

    title: str  # the network as messages call it
    modules: dict[str, nn.Module]  # all but the network itself, by path
    signature: inspect.Signature  # of the network
    call: Call  # the example that it was recorded with
    marks: Marks  # of the network as it was
    graph: fx.Graph = field(default_factory=fx.Graph)
    root: nn.Module = field(default_factory=nn.Module)  # the modules and tensors of the steps
    names: dict[fx.Node, str] = field(default_factory=dict)  # of what a user can ask for
    # What modules that are made of others give; None for several things at once.
    blocks: dict[str, fx.Node | None] = field(default_factory=dict)
    facts: dict[fx.Node, Fact] = field(default_factory=dict)
    symbols: dict[Any, tuple[fx.Node, int]] = field(default_factory=dict)  # an input and its axis
    conditions: list[Any] = field(default_factory=list)  # what must hold of the symbols
    by_size: bool = False  # whether it was seen that other sizes have other steps
    reads_sizes: bool = False  # whether the network's code has seen a size that is no symbol
    structure: Any = None  # of the output, as a pytree
    # The modules and tensors of steps, by where the network has them.
    places: dict[Place, Tensor | nn.Module] = field(default_factory=dict)
    links: list[Link] | None = None  # that lead to these places, if modules alone do
    main_name: str = ""  # of the input that activations start from
    derived: dict[str, Any] = field(default_factory=dict)  # what functions found of it, by name
    # What has been shown on real batches (`surgery.proof`).
    proved: set[Any] = field(default_factory=set)  # precisions
    seen: set[Any] = field(default_factory=set)  # shapes
    others: dict[fx.Node, set[Any]] = field(default_factory=dict)  # other fixed sizes of a step

    def __deepcopy__(self, memo: Any) -> "Record":
        return self  # copies of halves share what was found

    @cached_property
    def values(self) -> dict[str, Any]:
        """The single values of the example, by name."""
        return named(self.signature, self.call)

    @property
    def main(self) -> fx.Node:
        """The input that activations start from."""
        return next((node for node in self.inputs if node.target == self.main_name), self.inputs[0])

    @cached_property
    def batch(self) -> Any:
        """The symbol of the batch size."""
        shape = self.facts[self.main].shape
        if not shape:
            raise LayerError(
                f"{self.title} takes one number first, so it is not known where its examples lie; "
                "name the input that activations start from as network.main_input_name"
            )
        return shape[0]

    def found_at(self, network: nn.Module, places: Mapping[Place, Tensor | nn.Module]) -> None:
        """Note where the network has the modules and tensors of the steps."""
        self.places |= places
        self.links = links_of(network, self.places)

    def replaced(self, network: nn.Module) -> list[str]:
        """The names of those that the network has replaced since."""
        if self.links is not None and unbroken(self.links):
            return []
        return replaced(network, self.places)

    def sizes(self) -> dict[Any, int]:
        """The symbols as they are in the example."""
        return {s: self.values[str(n.target)].shape[axis] for s, (n, axis) in self.symbols.items()}

    def tensors(self, call: Call) -> list[Tensor]:
        """What the inputs are in a call."""
        values = named(self.signature, call)
        return [values[str(node.target)] for node in self.inputs]

    def example(self, sizes: Mapping[Any, int]) -> Call:
        """The example with free sizes of this length."""
        nodes = {id(self.values[str(node.target)]): node for node in self.inputs}

        def grown(x: Tensor) -> Tensor:
            shape = enumerate(self.facts[nodes[id(x)]].shape)
            return resized(x, {axis: sizes[one] for axis, one in shape if one in sizes})

        return self.call.map(grown)

    @property
    def nodes(self) -> list[fx.Node]:
        """All steps in order of execution, from the input to the output."""
        return list(self.graph.nodes)

    @property
    def inputs(self) -> list[fx.Node]:
        """The network's arguments that are tensors."""
        return [node for node in self.graph.nodes if node.op == "placeholder"]

    def name(self, node: fx.Node) -> str:
        """What messages call a step."""
        default = "the output" if node.op == "output" else node.name
        return self.names.get(attached(node), default)

    def has_weights(self, node: fx.Node) -> bool:
        """Whether parameters take part in a step."""
        if node.op == "call_module":
            return any(True for _ in self.modules[str(node.target)].parameters())
        given = [one for one in node.all_input_nodes if one.op == "get_attr"]
        return any(isinstance(attribute(self.root, one), nn.Parameter) for one in given)

    def find(self, layer: str) -> fx.Node:
        """The step of that name, or the last one of the block of that name.

        Raises:
            LayerError: if there is none, or it gives several tensors.
        """
        found = [node for node, name in self.names.items() if name == layer]
        # An input or a buffer may be called as a step is, such as `mean`.
        steps = [node for node in found if node.op not in ("placeholder", "get_attr")]
        last = self.blocks.get(layer)
        if steps or last is not None:
            return steps[0] if steps else cast(fx.Node, last)
        if found and layer not in self.blocks:
            return found[0]
        inside = [name for name in self.names.values() if name.startswith(f"{layer}.")]
        if layer in self.blocks or inside:
            raise LayerError(
                f"{layer!r} of {self.title} gives several tensors or none; name a layer inside of "
                f"it, such as {inside[-1]!r}"
                if inside
                else f"{layer!r} of {self.title} gives several tensors or none"
            )
        raise LayerError(f"{self.title} has no layer {layer!r}{self._hint(layer)}")

    def _hint(self, layer: str) -> str:
        """What to do about a name that no step has, as the end of a message."""
        around = layer.rpartition(".")[0]
        while around and layer in self.modules:
            if around in self.names.values():
                kind = type(self.modules[around]).__name__
                return f": it lies inside of {around!r}, an {kind} that is one step; name that"
            around = around.rpartition(".")[0]
        if layer in self.modules:
            return ": it is not called at evaluation"
        listed = "; `frankenstein layers NETWORK` lists those where it may be cut"
        return did_you_mean(layer, [*self.names.values(), *self.blocks]) or listed


def detach(graph: fx.Graph, node: fx.Node) -> fx.Node:
    """A step that keeps gradients from another one, as the network's torch.no_grad does."""
    step = graph.call_method("detach", (node,))
    step.meta["detaches"] = True
    return step


def attached(node: fx.Node) -> fx.Node:
    """The step that a `detach` keeps gradients from; any other step itself."""
    return node.all_input_nodes[0] if "detaches" in node.meta else node


def detached(node: fx.Node) -> fx.Node:
    """What later steps see of a step: without gradients if it ran under torch.no_grad."""
    return next((user for user in node.users if "detaches" in user.meta), node)


def without_gradients(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same name that writes into a tensor unseen by its gradients."""

    def step(*args: Any, **kwargs: Any) -> Any:
        with torch.no_grad():
            return function(*args, **kwargs)

    step.__name__ = step.__qualname__ = function.__name__
    return step


def once(function: Callable[[Record], T]) -> Callable[[Record], T]:
    """A function of a record that is asked once for each; nobody changes what it answers."""

    @wraps(function)
    def known(record: Record) -> T:
        name = function.__name__
        if name not in record.derived:
            record.derived[name] = function(record)
        return record.derived[name]

    return known


def attribute(root: nn.Module, node: fx.Node) -> Any:
    """The object that a step of the kind get_attr gives."""
    value: Any = root
    for name in str(node.target).split("."):
        value = getattr(value, name)
    return value


def called(node: fx.Node) -> str:
    """The plain name of the function, method or operator that a step calls; "" for other steps.

    >>> graph = fx.Graph()
    >>> called(graph.call_method("__radd__", (graph.placeholder("x"), 1)))
    'add'
    """
    if node.op not in ("call_function", "call_method"):
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return plain(name)


_RIGHT = re.compile(r"__r(add|sub|mul|matmul|div|truediv|floordiv|mod|pow|and|or|xor)__")
_DIVISIONS = {"div": "truediv", "idiv": "itruediv"}  # as Python calls what torch calls so


def plain(name: str) -> str:
    """A function's name without what Python and torch put around it.

    >>> [plain(name) for name in ("__iadd__", "__rsub__", "__div__", "_max_pool2d", "relu_")]
    ['iadd', 'sub', 'truediv', 'max_pool2d', 'relu_']
    """
    right = _RIGHT.fullmatch(name)
    if right:
        name = right[1]
    elif name.startswith("__"):
        name = name.strip("_")
        name = _DIVISIONS.get(name, name)
    return name.lstrip("_")
