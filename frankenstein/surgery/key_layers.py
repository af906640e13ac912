"""The layers that matrices and questions about units are about, unless others are named."""

from collections.abc import Iterable
from itertools import pairwise

from torch import fx, nn

from frankenstein.surgery.cut import cut_points, narrows
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.record import record
from frankenstein.surgery.steps import Record, called, detached


def key_layers(network: nn.Module, inputs: Inputs | None = None) -> tuple[str, ...]:
    """One cut point for each convolution or linear layer, or block of them, but the last.

    It is the first cut point behind the layer's own normalisation: of conv1, bn1, relu1 it is bn1;
    of a residual block the sum; of a layer by itself the layer. What comes before all weights or
    behind all of them is left out.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> key_layers(network)
    ('1',)
    """
    steps = record(network, inputs)
    allowed = cut_points(network, inputs=inputs)
    matrices = done = 0  # layers with a weight matrix, and weights of any kind, so far
    chosen: dict[int, tuple[int, str]] = {}
    points = {node: steps.name(node) for node in narrows(steps)}
    for node in steps.nodes:
        depth = _weights(steps, node)
        matrices, done = matrices + (depth > 1), done + (depth > 0)
        name = points.get(node)
        if name in allowed and matrices and done > chosen.get(matrices, (0, ""))[0]:
            chosen[matrices] = done, name
    chosen.pop(matrices, None)
    return tuple(name for _, name in chosen.values())


def penultimate_layer(network: nn.Module, inputs: Inputs | None = None) -> str | None:
    """The last cut point in front of the last weight matrix: the features that answers are read
    from. None for a network of one matrix or none.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> penultimate_layer(network)
    '2'
    """
    steps = record(network, inputs)
    allowed = cut_points(network, inputs=inputs)
    points = {node: steps.name(node) for node in narrows(steps)}
    passed = last = None  # the last cut point so far, and the one in front of a matrix
    for node in steps.nodes:
        if _weights(steps, node) > 1:
            last = passed
        if points.get(node) in allowed:
            passed = points[node]
    return last


def later_layers(
    network: nn.Module, after: str, inputs: Inputs | None = None
) -> tuple[str, ...]:  # in order of execution
    """The key layers behind a cut, and the penultimate one if it lies behind it.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(),
    ...                         nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> later_layers(network, "0"), later_layers(network, "3")
    (('2', '3'), ())
    """
    steps = record(network, inputs)
    chosen = {*key_layers(network, inputs), penultimate_layer(network, inputs)}
    points = list(cut_points(network, inputs=inputs))
    after = steps.name(steps.find(after))  # of a block what it gives
    behind = points[points.index(after) + 1 :] if after in points else points
    return tuple(layer for layer in behind if layer in chosen)


def _weights(steps: Record, node: fx.Node) -> int:
    """Axes of the largest weight that a step has: 2 or more of a matrix, 0 for none."""
    if node.op == "call_module":
        parameters = steps.modules[str(node.target)].parameters()
        return max((parameter.ndim for parameter in parameters), default=0)
    given = {one for source in node.all_input_nodes for one in (source, *source.all_input_nodes)}
    weights = [
        len(steps.facts[one].shape) for one in given if one.op == "get_attr" and one in steps.facts
    ]
    if not weights or node.op not in ("call_function", "call_method"):
        return 0
    return max(weights) if called(node) in _PRODUCTS else 1


_PRODUCTS = frozenset({"addmm", "conv1d", "conv2d", "conv3d", "linear", "matmul"})
_INF = float("inf")
_BOUNDS = {  # of what a nonlinearity gives; 0, where most units of ReLU6 are, counts as no bound
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "relu6": (-_INF, 6.0),
}
_NO_UNIT_BY_ITSELF = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.GLU)
# fmt: off
_FUNCTIONS = frozenset({
    "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "prelu",
    "relu", "relu6", "selu", "sigmoid", "silu", "softplus", "tanh",
})
# fmt: on


def activation_layers(network: nn.Module, inputs: Inputs | None = None) -> tuple[str, ...]:
    """The network's `key_layers`, each behind the nonlinearity that follows it, if one does.

    Whether a unit is dead, saturated or active with others can only be seen behind it.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> key_layers(network), activation_layers(network)
    (('0',), ('1',))
    """
    steps = record(network, inputs)
    points = list(cut_points(network, inputs=inputs))
    following = dict(pairwise(points))
    chosen = []
    for layer in key_layers(network, inputs):
        after = steps.find(following[layer]) if layer in following else None
        behind = after is not None and after.all_input_nodes == [detached(steps.find(layer))]
        nonlinear = behind and after is not None and _acts_unit_by_unit(steps, after)
        chosen.append(following[layer] if nonlinear else layer)
    return tuple(chosen)


def weights_of_units(
    network: nn.Module, layers: Iterable[str], inputs: Inputs | None = None
) -> dict[str, str]:  # {layer: module}
    """The convolution or linear layer whose rows are a layer's units, of layers that have one.

    Between the two are norms, nonlinearities and dropout alone, which keep units where they are.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 2))
    >>> weights_of_units(network, ["1", "2", "3"])
    {'1': '0', '2': '0', '3': '3'}
    """
    steps = record(network, inputs)
    found = {}
    for layer in layers:
        node = steps.find(layer)
        while _keeps_units(steps, node) and len(node.all_input_nodes) == 1:
            node = node.all_input_nodes[0]
        if node.op == "call_module" and isinstance(
            steps.modules[str(node.target)], nn.Linear | nn.modules.conv._ConvNd
        ):
            found[layer] = str(node.target)
    return found


def _keeps_units(steps: Record, node: fx.Node) -> bool:
    if node.op != "call_module":
        return "detaches" in node.meta or called(node).strip("_") in _FUNCTIONS
    kinds = nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.modules.dropout._DropoutNd
    return isinstance(steps.modules[str(node.target)], kinds) or _acts_unit_by_unit(steps, node)


def bounds_of(
    network: nn.Module, layers: Iterable[str], inputs: Inputs | None = None
) -> dict[str, tuple[float, float] | None]:  # by layer
    """The smallest and the largest value that a layer's nonlinearity can give; None without one.

    An open side is infinite.

    >>> bounds_of(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), ["0", "1"])
    {'0': None, '1': (-1.0, 1.0)}
    """
    steps = record(network, inputs)
    return {layer: _bounds(steps, steps.find(layer)) for layer in layers}


def _bounds(steps: Record, node: fx.Node) -> tuple[float, float] | None:
    if node.op != "call_module":
        return _BOUNDS.get(called(node).strip("_"))
    module = steps.modules[str(node.target)]
    if type(module) is nn.Hardtanh:
        return module.min_val, module.max_val
    return _BOUNDS.get(type(module).__name__.lower())


def _acts_unit_by_unit(steps: Record, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = steps.modules[str(node.target)]
        known = type(module).__module__ == "torch.nn.modules.activation"
        return known and not isinstance(module, _NO_UNIT_BY_ITSELF)
    return called(node).strip("_") in _FUNCTIONS
