"""One layer for each block of a deep network: what its authors repeat."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from torch import fx, nn

from frankenstein.surgery.cut import cut_points, narrows
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.record import record
from frankenstein.surgery.steps import Record

_FEW = 3  # of fewer blocks a table would say little
_MANY = 30  # cut points that are more than a table shows


def block_layers(network: nn.Module, inputs: Inputs | None = None) -> tuple[str, ...]:
    """One cut point a block, called as the block: `layer1.0`, `blocks.5`, `encoder.layer.3`.

    A block is the smallest module that stands beside others of its kind, behind which the network
    can be cut and inside of which it cannot everywhere: it holds a skip connection or branches. A
    module of PyTorch that is itself one, such as nn.TransformerEncoderLayer, counts. A network with
    fewer than three, such as a plain chain of layers, has its `key_layers` instead.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> block_layers(network)
    ('0',)
    """
    return _blocks(network, inputs) or key_layers(network, inputs)


def telling_layers(network: nn.Module, inputs: Inputs | None = None) -> list[str] | None:
    """What is compared of a network if nothing is named: its blocks, or None for its cut points.

    Blocks where it has any, or more than 30 cut points, as deep networks do: most cut points would
    be near-copies.
    """
    # By name: a network may have a layer that is called "blocks".
    if blocks := _blocks(network, inputs):
        return [*blocks]
    several = len(cut_points(network, inputs=inputs)) > _MANY
    return [*key_layers(network, inputs)] if several else None


def blocks_at(network: nn.Module, inputs: Inputs | None = None) -> dict[str, str]:
    """Which cut points are the outputs of blocks that are called otherwise: {point: block}."""
    steps = record(network, inputs)
    ends = {path: steps.blocks.get(path) for path in _blocks(network, inputs)}
    named = {steps.name(node): path for path, node in ends.items() if node is not None}
    return {point: path for point, path in named.items() if point != path}


def _blocks(network: nn.Module, inputs: Inputs | None = None) -> tuple[str, ...]:
    """The blocks of `block_layers`; none of a network that has fewer than three."""
    steps = record(network, inputs)
    allowed = cut_points(network, inputs=inputs)
    points = [node for node in narrows(steps) if steps.name(node) in allowed]
    last = {name: node for node, name in steps.names.items()} | dict(steps.blocks)
    ends = {path: node for path in steps.modules if (node := last.get(path)) in points and node}
    kinds = Counter(map(partial(_kind, steps), steps.modules))
    blocks = {
        _kind(steps, path)
        for path in ends
        if kinds[_kind(steps, path)] > 1 and _branches(steps, path, ends[path], points)
    }
    found = {path: node for path, node in ends.items() if _kind(steps, path) in blocks}
    inner = {path for path in found if not any(p.startswith(f"{path}.") for p in found)}
    several = Counter(map(partial(_kind, steps), inner))
    output = steps.nodes[-1].all_input_nodes
    inner -= {path for path in inner if several[_kind(steps, path)] == 1 and found[path] in output}
    few = len(inner) < _FEW
    return () if few else tuple(sorted(inner, key=lambda path: points.index(found[path])))


def _kind(steps: Record, path: str) -> tuple[str, type]:
    """Modules that stand beside one another, of one class, are of one kind."""
    return path.rpartition(".")[0], type(steps.modules[path])


def _branches(steps: Record, path: str, last: fx.Node, points: Sequence[fx.Node]) -> bool:
    """Whether a module holds a skip connection or branches."""
    inside = [node for node, name in steps.names.items() if name.startswith(f"{path}.")]
    return any(node not in points and node is not last for node in inside) or _is_block(steps, last)


def _is_block(steps: Record, node: fx.Node) -> bool:
    """Whether one step is a block by itself: a module with several matrices."""
    if node.op != "call_module":
        return False
    weights = steps.modules[str(node.target)].parameters()
    return sum(weight.ndim > 1 for weight in weights) > 1
