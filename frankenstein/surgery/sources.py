"""Where representations come from: a network's graph, or hooks where it has none."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from frankenstein.surgery.capture import capture
from frankenstein.surgery.cut import is_several, narrows
from frankenstein.surgery.inputs import Call, Inputs
from frankenstein.surgery.modules import paths, title_of, unwrapped
from frankenstein.surgery.record import record
from frankenstein.surgery.units import unit_axes

Results = dict[str, Any]  # what a layer gives, or why it is no representation
Take = Callable[[str, Tensor | str], Any]  # of a layer, when it is there: what to give of it

NOT_CALLED = "is not called"
_SEVERAL = "gives several tensors; name a layer behind it"


@dataclass(frozen=True)
class Source:
    """Layers that can be asked for, in order of execution, and what reads them."""

    title: str
    known: tuple[str, ...]
    modules: tuple[str, ...]
    cut_points: tuple[str, ...]
    has_graph: bool
    read: Callable[[Call, Sequence[str], Take | None], Results]
    axes: Mapping[str, int]  # of units, by layer; without those that are not known


def recorded(network: nn.Module, inputs: Inputs | None = None) -> Source:
    """A network's graph: every call is told apart, and no tensor is overwritten.

    Raises:
        LayerError: if its steps depend on data, or the network does not take these inputs.
    """
    graph = record(network, inputs)
    steps: dict[str, str] = {}  # what a layer is called, and the step that makes it
    several: set[str] = set()
    modules: list[str] = []
    for node in graph.nodes:
        if node not in graph.names or node.op in ("placeholder", "get_attr"):
            continue
        name = graph.name(node)
        blocks = [block for block, last in graph.blocks.items() if last is node]
        own = [name] if node.op == "call_module" else []
        modules += [*own, *blocks]
        steps |= dict.fromkeys([name, *blocks], name)
        several |= {name} if is_several(node) else set()
    tuples = [block for block, last in graph.blocks.items() if last is None]
    steps |= {block: block for block in tuples}
    several.update(tuples)
    points = tuple(graph.name(node) for node in narrows(graph))
    readers: dict[tuple[tuple[str, ...], Take | None], nn.Module] = {}

    def reader(wanted: tuple[str, ...], take: Take | None) -> nn.Module:
        if take is None:
            return capture(network, wanted, inputs)
        return capture(network, wanted, inputs, lambda step, given: take(step, _one(given)))

    def read(call: Call, layers: Sequence[str], take: Take | None) -> Results:
        wanted = tuple(dict.fromkeys(steps[s] for s in layers if steps[s] not in several))
        if wanted and (wanted, take) not in readers:
            readers[wanted, take] = reader(wanted, take)
        results = readers[wanted, take](*call.args, **call.kwargs) if wanted else {}
        results = {step: _one(z) for step, z in results.items()} if take is None else results
        return {s: results.get(steps[s], _SEVERAL) for s in layers}

    axes = {graph.name(node): axis for node, axis in unit_axes(graph).items()}
    axes = {layer: axes[step] for layer, step in steps.items() if step in axes}
    return Source(graph.title, tuple(steps), tuple(modules), points, True, read, axes)


@contextmanager
def hooked(network: nn.Module) -> Iterator[Source]:
    """Forward hooks on the modules that are read, gone at the end.

    A tensor that the network overwrites later is told by its version, and copied in time.
    """
    network = unwrapped(network)
    modules = {name: module for name, module in paths(network).items() if name}
    calls: dict[str, list[tuple[Any, int]]] = {}
    takes: list[Take | None] = [None]
    copied: set[str] = set()
    handles: dict[str, Any] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: Any, result: Any) -> None:
            if name not in calls:  # the network is run by somebody else
                return
            z = _one(result)
            if (take := takes[-1]) is not None:
                calls[name].append((take(name, z), 0))
                return
            z = z.clone() if isinstance(z, Tensor) and name in copied else z
            calls[name].append((z, z._version if isinstance(z, Tensor) else 0))

        return keep

    def read(call: Call, layers: Sequence[str], take: Take | None) -> Results:
        takes[:] = [take]
        for name in handles.keys() - set(layers):
            handles.pop(name).remove()
        for name in set(layers) - handles.keys():
            handles[name] = modules[name].register_forward_hook(hook(name))
        while True:
            calls.update({name: [] for name in layers})
            network(*call.args, **call.kwargs)
            late = {
                name
                for name, results in calls.items()
                for z, version in results
                if take is None and isinstance(z, Tensor) and z._version != version
            }
            if not late - copied:
                break
            copied.update(late)
        results = {name: _only(calls.pop(name)) for name in layers}
        calls.clear()
        return results

    try:
        yield Source(title_of(network), tuple(modules), tuple(modules), (), False, read, {})
    finally:
        for handle in handles.values():
            handle.remove()


def _only(results: list[tuple[Any, int]]) -> Any:
    if len(results) == 1:
        return results[0][0]
    if not results:
        return NOT_CALLED
    return f"is called {len(results)} times, which hooks cannot tell apart; name one inside of it"


def _one(result: Any) -> Tensor | str:
    """The tensor that a layer gives, by itself or as the only one of several things."""
    if isinstance(result, Tensor):
        return result
    parts = result.values() if isinstance(result, dict) else result
    tensors = [part for part in parts if isinstance(part, Tensor)] if _holds(result) else []
    if len(tensors) == 1:
        return tensors[0]
    return _SEVERAL if len(tensors) > 1 else f"gives {type(result).__name__}, not a tensor"


def _holds(result: Any) -> bool:
    return isinstance(result, tuple | list | dict)
