"""A part of a traced network as a module of its own: what cut and capture return.

It is guarded from steps that write into memory that others may share. Doubt counts as sharing: a
needless copy costs little, a missing one gives wrong numbers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import fx, nn

from frankenstein.surgery.halves import Arguments
from frankenstein.surgery.hoist import hoisted
from frankenstein.surgery.modules import put, unwrapped
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import IN_PLACE, Record, attribute, called

_TAKEN = {*dir(fx.GraphModule), *vars(fx.GraphModule({}, fx.Graph()))} - {*dir(nn.Module())}


def assemble(
    record: Record,
    network: nn.Module,
    nodes: Sequence[fx.Node],
    result: Any,
    entrance: fx.Node | None = None,
    held: Iterable[fx.Node] = (),
    fold: Callable[[str, Any], Any] | None = None,
) -> fx.GraphModule:
    """A module that runs those of `nodes` that `result` needs, and returns `result`.

    It takes what the network takes, or what the step `entrance` gives with what else it needs. It
    shares the network's submodules, each in the mode it is in, and never writes into its input.
    The tensors of `held` are returned as they are when they are made; with `fold`, what that makes
    of their names and of them, for all of `result`.
    """
    network = unwrapped(network)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    kept: dict[fx.Node, fx.Node] = {}
    given = record.inputs
    wanted = _nodes_in(result)
    folded = _function(fold) if fold is not None else None
    if entrance is not None:
        given = [entrance, *given]
        copies[entrance] = graph.placeholder(entrance.name)
    made = _of_the_entrance(record, entrance)
    steps = needed([*given, *nodes], wanted, [*given, *made])
    inputs = [node for node in record.inputs if entrance is None or node in steps]
    for node in inputs:
        copies[node] = graph.node_copy(node)
    # An in-place ReLU right behind the cut would overwrite a tensor that the caller still holds.
    for node in overwritten(steps).intersection(given):
        copies[node] = graph.call_method("clone", (copies[node],))
    for node in steps:
        if node in made:
            copies[node] = graph.create_node(*made[node](copies[entrance]))  # type: ignore[index]
        elif node not in copies:
            copies[node] = graph.node_copy(node, copies.__getitem__)
        if node in held:
            kept[node] = graph.call_method("clone", (copies[node],))
        if folded and node in wanted:
            kept[node] = graph.call_function(folded, (record.name(node), copies[node]))
    graph.output(fx.map_arg(result, (copies | kept).__getitem__))
    needs = tuple(str(node.target) for node in inputs)
    ends = entrance is not None and result is record.nodes[-1].args[0]
    structure = record.structure if ends else None
    graph.set_codegen(Arguments(record, network, needs, entrance, structure))
    graph.on_generate_code(lambda _: hoisted)

    _rename(record.root, graph)
    part = _Half(record.root, graph, record.title)
    part.training = network.training
    for path, module in part.named_modules():
        # fx makes new containers (`layer1`) around the shared layers, all in training mode.
        if path in record.modules:
            module.training = record.modules[path].training
    return part


def _rename(root: nn.Module, graph: fx.Graph) -> None:
    """Give other names to parts that are called as something that every half has: `code`."""
    for node in graph.nodes:
        first, _, rest = str(node.target).partition(".")
        if node.op in ("call_module", "get_attr") and first in _TAKEN:
            other = f"{first}_.{rest}".rstrip(".")
            put(root, other, attribute(root, node))
            node.target = other


def _function(fold: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """As a function, which is what torch.fx can call: it asks for a name."""

    def fold_layer(name: str, given: Any) -> Any:
        return fold(name, given)

    return fold_layer


class _Half(fx.GraphModule):
    def __deepcopy__(self, memo: Any) -> Any:
        try:
            return super().__deepcopy__(memo)
        except RuntimeError as error:
            if "deepcopy protocol" not in str(error):
                raise
            raise LayerError(
                "a half of a network cannot be copied while the network or a hook of it keeps a "
                "tensor that carries gradients; copy it before it is run, or under torch.no_grad()"
            ) from error

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise LayerError(
            "a half of a network cannot be pickled or saved as a whole; save the state_dict() of "
            "the network, and cut it again"
        )


def _of_the_entrance(record: Record, entrance: fx.Node | None) -> dict[fx.Node, Any]:
    """The steps that ask for a size or the device, which a representation has as well."""
    if entrance is None:
        return {}
    axes = {size: axis for axis, size in reversed([*enumerate(record.facts[entrance].shape)])}
    made: dict[fx.Node, Any] = {}
    for node in record.nodes:
        if "device" in node.meta:
            made[node] = lambda z: ("call_function", getattr, (z, "device"))
        elif node.target == "size" and node.meta.get("size") in axes:
            axis = axes[node.meta["size"]]
            made[node] = lambda z, axis=axis: ("call_method", "size", (z, axis))
    return made


class Part(nn.Module):
    """A part of a network that is put together when it is first used, and then is that module.

    So a network can be cut at every point, for what it costs to record it once.
    """

    def __init__(self, build: Callable[[], fx.GraphModule]) -> None:
        object.__getattribute__(self, "__dict__")["_build"] = build

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        part = own.pop("_build")()
        object.__setattr__(self, "__dict__", vars(part))
        object.__setattr__(self, "__class__", type(part))
        self.graph.owning_module = self
        return getattr(self, name)

    # Python looks for these in the class alone.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self.__call__(*args, **kwargs)

    def __copy__(self) -> fx.GraphModule:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce_ex__(protocol)


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


def _nodes_in(result: Any) -> list[fx.Node]:
    found: list[fx.Node] = []
    fx.map_arg(result, found.append)
    return found


def sharing(nodes: Iterable[fx.Node]) -> Mapping[fx.Node, set[fx.Node]]:
    """For each step, itself and all steps whose tensors may lie in the same memory."""
    groups: dict[fx.Node, set[fx.Node]] = {}
    for node in nodes:
        group = {node}
        for source in _passed_on(node):
            group |= groups.get(source, set())
        groups.update(dict.fromkeys(group, group))
    return groups


def fresh(node: fx.Node) -> bool:
    """Whether a step's tensor lies in memory of its own; in doubt it does not."""
    return node.op not in ("placeholder", "get_attr", "output") and not _passed_on(node)


def written(node: fx.Node) -> list[fx.Node]:
    """The steps whose tensors this one overwrites; mostly none."""
    if not _writes(node):
        return []
    if "writes" in node.meta:
        return [node.all_input_nodes[i] for i in node.meta["writes"]]
    target = node.kwargs.get("out") or (node.args[0] if node.args else None)
    return [target] if isinstance(target, fx.Node) else node.all_input_nodes


def overwritten(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """The steps whose tensors a later one may overwrite."""
    nodes = list(nodes)
    groups = sharing(nodes)
    earlier: set[fx.Node] = set()
    found: set[fx.Node] = set()
    for node in nodes:
        for target in written(node):
            found |= groups.get(target, {target}) & earlier
        earlier.add(node)
    return found


# Modules of torch.nn in these files compute new tensors, unless told to work in place.
_FRESH_MODULES = frozenset({"activation", "batchnorm", "conv", "normalization", "pooling"})

# So do these functions and methods.
# fmt: off
_FRESH = frozenset({
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "add", "addmm", "amax", "avg_pool1d",
    "avg_pool2d", "batch_norm", "bmm", "cat", "clone", "concat", "conv1d", "conv2d", "conv3d",
    "dim", "div", "elu", "exp", "gelu", "group_norm", "hardsigmoid", "hardswish", "hardtanh",
    "layer_norm", "leaky_relu", "linear", "log", "log_softmax", "matmul", "max_pool1d",
    "max_pool2d", "mean", "mish", "mm", "mul", "neg", "pow", "relu", "relu6", "rms_norm", "rsqrt",
    "scaled_dot_product_attention", "sigmoid", "silu", "size", "softmax", "sqrt", "stack", "sub",
    "sum", "tanh", "truediv",
})
# fmt: on


def _passed_on(node: fx.Node) -> list[fx.Node]:
    """The inputs whose memory may live on in the step's result."""
    if node.op == "call_module":
        fresh = _is_fresh(_module(node))
    else:
        fresh = called(node) in _FRESH and not _writes(node)
    return [] if fresh else written(node) or node.all_input_nodes


def _writes(node: fx.Node) -> bool:
    if node.op == "call_module":
        return "writes" in node.meta or _writes_input(_module(node))
    name = called(node)
    return (
        "writes" in node.meta  # seen when it was recorded
        or bool(node.kwargs.get("inplace"))
        or "out" in node.kwargs
        or name.endswith("_")
        or name in IN_PLACE
        or name == "setitem"
    )


def _is_fresh(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential):
        return any(_is_fresh(child) for child in module)
    package, _, file = type(module).__module__.rpartition(".")
    known = (package == "torch.nn.modules" and file in _FRESH_MODULES) or type(module) is nn.Linear
    return known and not getattr(module, "inplace", False)


def _writes_input(module: nn.Module) -> bool:
    if isinstance(module, nn.Sequential):
        for child in module:
            if _writes_input(child) or _is_fresh(child):
                return _writes_input(child)
        return False
    return any(getattr(child, "inplace", False) for child in module.modules())


def _module(node: fx.Node) -> nn.Module:
    root = node.graph.owning_module
    if root is None:
        raise ValueError(f"step {node} belongs to no module; give steps of a traced network")
    return root.get_submodule(str(node.target))
