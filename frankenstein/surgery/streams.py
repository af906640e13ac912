"""Which axes of a network's weights belong to the same units: what can be reordered together."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.assemble import needed
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.record import record
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.steps import Record, called


class Axis(NamedTuple):
    """One axis of a weight, bias or statistic."""

    tensor: str  # its name in the state dict
    axis: int
    streams: tuple[str, ...]  # whose units follow one another along it


class Streams(NamedTuple):
    """The sets of units that a network passes on; each is called like the layer that makes it."""

    units: Mapping[str, int]  # their number; those that the output is made of are among them
    movable: tuple[str, ...]  # those that can be reordered
    axes: tuple[Axis, ...]
    layers: Mapping[str, tuple[str, ...]]  # where weights read a movable stream by itself

    def entries(
        self, axis: Axis, length: int, orders: Mapping[str, Tensor]
    ) -> Tensor:  # (length,), where each entry comes from
        """An axis in another order: unit i of a stream is what was its unit `orders[stream][i]`.

        Where a map was flattened the places of a unit move with it.
        """
        parts, start = [], 0
        for stream in axis.streams:
            parts.append(start + orders.get(stream, torch.arange(self.units[stream])))
            start += self.units[stream]
        places = length // start
        return (torch.cat(parts)[:, None] * places + torch.arange(places)).flatten()


def find_streams(network: nn.Module, inputs: Inputs | None = None) -> Streams:
    """The streams of a network, followed through its graph.

    Every convolution or linear layer makes a stream, and those that are added are one: a residual
    network has one for each of its stages, and one inside each block. The order of the classes is
    given, as is that of the input's channels; everything between is free. Known are the layers of
    the zoo and what is like them: convolutions, plain and depthwise, linear layers, BatchNorm,
    pooling, functions of each number by itself, sums, products and concatenation.

    Raises:
        LayerError: at a step of which it is not known what it does to units, such as attention.

    >>> find_streams(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))).movable
    ('0',)
    """
    return _Walk(record(network, inputs)).result()


_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_EACH = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh, nn.Sigmoid),
    *(nn.Hardswish, nn.Hardsigmoid, nn.Hardtanh, nn.Softplus, nn.Identity, nn.Dropout),
    *(nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
# fmt: off
_EACH_NAMES = frozenset({
    "adaptive_avg_pool2d", "avg_pool2d", "clone", "contiguous", "detach", "dropout", "elu", "gelu",
    "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "max_pool2d", "mish",
    "relu", "relu_", "relu6", "sigmoid", "silu", "stochastic_depth", "tanh",
})
_TIES = frozenset({"add", "add_", "iadd", "imul", "isub", "mul", "mul_", "sub", "sub_"})
# fmt: on


class _Lie(NamedTuple):
    """How units lie in a tensor."""

    streams: tuple[int, ...]  # one after the other along axis 1; none of the input
    kind: str  # "map", "vector", or "flat": a vector in which every place of a unit is a number


class _Walk:
    """What is known of a graph, step by step; tied streams share a root."""

    def __init__(self, steps: Record) -> None:
        self.steps = steps
        self.units: list[int] = []
        self.names: list[str] = []
        self.parents: list[int] = []
        self.fixed: set[int] = set()
        self.axes: list[tuple[str, int, tuple[int, ...]]] = []
        self.lies: dict[fx.Node, _Lie] = {}
        self.nodes = needed(steps.nodes, steps.nodes[-1:])
        self.now = self.nodes[0]
        for node in self.nodes:
            self.now = node
            self._step(node)

    def result(self) -> Streams:
        """What was found, by names."""
        fixed = {self._root(i) for i in self.fixed}
        roots = list(dict.fromkeys(map(self._root, range(len(self.units)))))
        name = {i: self.names[self._root(i)] for i in range(len(self.units))}
        movable = tuple(name[i] for i in roots if i not in fixed)
        axes = [Axis(tensor, axis, tuple(map(name.get, s))) for tensor, axis, s in self.axes]  # type: ignore[arg-type]
        layers: dict[str, list[str]] = {stream: [] for stream in movable}
        for node, lie in self.lies.items():
            if len(lie.streams) == 1 and lie.kind != "flat" and self._is_read(node):
                layers.get(name[lie.streams[0]], []).append(self.steps.name(node))
        return Streams(
            {name[i]: self.units[i] for i in roots},
            movable,
            tuple(axes),
            {stream: tuple(found) for stream, found in layers.items()},
        )

    def _is_read(self, node: fx.Node) -> bool:
        """Whether something makes other units of these, or flattens them."""
        mine = self.lies[node]
        theirs = [self.lies[user] for user in node.users if user in self.lies]
        return any(
            set(map(self._root, lie.streams)) != {self._root(mine.streams[0])} or lie.kind == "flat"
            for lie in theirs
        )

    def _step(self, node: fx.Node) -> None:
        sources = [self.lies[source] for source in node.all_input_nodes if source in self.lies]
        if node.op == "placeholder":
            axes = len(self.steps.facts[node].shape)
            self.lies[node] = _Lie((), "map" if axes == 4 else "vector")
        elif node.op == "output":
            self.fixed.update(i for lie in sources for i in lie.streams)
        elif len(sources) != len(node.all_input_nodes):
            self._refuse()
        elif node.op == "call_module":
            self.lies[node] = self._module(node, sources[0])
        else:
            self.lies[node] = self._function(node, sources)

    def _module(self, node: fx.Node, source: _Lie) -> _Lie:
        path = str(node.target)
        module = self.steps.modules[path]
        if module._forward_pre_hooks or module._forward_hooks or "forward" in vars(module):
            self._refuse("it has hooks or another forward, and these may know units by their place")
        if type(module) in _EACH:
            return source
        if type(module) is nn.Flatten:
            return self._flat(source, module.start_dim, module.end_dim)
        if [other.target for other in self.nodes].count(node.target) > 1:
            self._refuse("it is used more than once")
        if type(module) in _CONVOLUTIONS:
            return self._convolution(path, module, source)  # type: ignore[arg-type]
        if type(module) is nn.Linear and source.kind != "map":
            made = self._new(module.out_features)
            self._lay(path, ("weight", "bias"), made)
            self._lay(path, ("weight",), source.streams, axis=1)
            return _Lie(made, "vector")
        if type(module) in _NORMS:
            self._lay(path, ("weight", "bias", "running_mean", "running_var"), source.streams)
            return source
        return self._refuse()

    def _convolution(self, path: str, module: nn.Conv2d, source: _Lie) -> _Lie:
        if module.groups == 1:
            made = self._new(module.out_channels)
            self._lay(path, ("weight", "bias"), made)
            self._lay(path, ("weight",), source.streams, axis=1)
            return _Lie(made, "map")
        if module.groups == module.in_channels == module.out_channels:
            self._lay(path, ("weight", "bias"), source.streams)
            return source
        return self._refuse("its channels lie in groups")

    def _function(self, node: fx.Node, sources: Sequence[_Lie]) -> _Lie:
        name = called(node)
        if name in _EACH_NAMES:
            return sources[0]
        if name in _TIES:
            for other in sources[1:]:
                self._tie(sources[0], other)
            return max(sources, key=lambda lie: len(lie.streams))
        if name == "flatten":
            start, end = _argument(node, 1, "start_dim", 0), _argument(node, 2, "end_dim", -1)
            return self._flat(sources[0], start, end)
        if name == "mean" and sources[0].kind == "map":
            axes = _argument(node, 1, "dim", ())
            if {axis % 4 for axis in ([axes] if isinstance(axes, int) else axes)} == {2, 3}:
                kept = _argument(node, 2, "keepdim", False)
                return sources[0]._replace(kind="map" if kept else "vector")
        if name in ("cat", "concat") and _argument(node, 1, "dim", 0) == 1:
            parts = [self.lies[part] for part in node.args[0]]  # type: ignore[union-attr, index]
            if all(lie.streams and lie.kind == parts[0].kind != "flat" for lie in parts):
                return parts[0]._replace(streams=sum((lie.streams for lie in parts), ()))
        return self._refuse()

    def _flat(self, source: _Lie, start: int, end: int) -> _Lie:
        if (start, end) not in ((1, -1), (1, 3)):
            self._refuse("it flattens other axes than those of one example")
        return source._replace(kind="flat") if source.kind == "map" else source

    def _lay(
        self, path: str, tensors: Sequence[str], streams: tuple[int, ...], axis: int = 0
    ) -> None:
        """Note that units of these streams lie along an axis, of those tensors that there are."""
        module = self.steps.modules[path]
        for tensor in tensors:
            if streams and getattr(module, tensor) is not None:
                self.axes.append((f"{path}.{tensor}", axis, streams))

    def _new(self, units: int) -> tuple[int]:
        self.parents.append(len(self.parents))
        self.units.append(units)
        self.names.append(self.steps.name(self.now))
        return (len(self.units) - 1,)

    def _root(self, stream: int) -> int:
        while self.parents[stream] != stream:
            stream = self.parents[stream]
        return stream

    def _tie(self, one: _Lie, other: _Lie) -> None:
        if not one.streams or not other.streams:  # with the input: in the input's order
            self.fixed.update(one.streams, other.streams)
            return
        if [self.units[i] for i in one.streams] != [self.units[i] for i in other.streams]:
            self._refuse("its two sides have other units")
        for i, j in zip(one.streams, other.streams, strict=True):
            first, last = sorted((self._root(i), self._root(j)))
            self.parents[last] = first

    def _refuse(self, why: str = "it is not known what that does to units") -> NoReturn:
        raise LayerError(
            f"cannot reorder the units of {self.steps.title} around "
            f"{self.steps.name(self.now)!r}: {why}"
        )


def _argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)
