"""The layers that matrices and questions about units are about, unless others are named."""

from collections.abc import Iterable
from itertools import pairwise

from torch import fx, nn

from frankenstein.surgery.cut import cut_points, narrows
from frankenstein.surgery.trace import Trace, trace


def key_layers(network: nn.Module) -> tuple[str, ...]:
    """One cut point for each convolution or linear layer, or block of them, but the last.

    It is the first cut point behind the layer's own normalisation: of conv1, bn1, relu1 it is bn1;
    of a residual block the sum; of a layer by itself the layer. What comes before all weights or
    behind all of them is left out.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.ReLU(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> key_layers(network)
    ('1',)
    """
    traced = trace(network)
    allowed = cut_points(network)
    matrices = done = 0  # layers with a weight matrix, and weights of any kind, so far
    chosen: dict[int, tuple[int, str]] = {}
    points = {node: traced.name(node) for node in narrows(traced)}
    for node in traced.nodes:
        depth = _weights(traced, node)
        matrices, done = matrices + (depth > 1), done + (depth > 0)
        name = points.get(node)
        if name in allowed and matrices and done > chosen.get(matrices, (0, ""))[0]:
            chosen[matrices] = done, name
    chosen.pop(matrices, None)
    return tuple(name for _, name in chosen.values())


def _weights(traced: Trace, node: fx.Node) -> int:
    """Axes of the largest weight that a step has: 2 or more of a matrix, 0 for none."""
    if node.op == "get_attr":
        return 1
    if node.op != "call_module":
        return 0
    parameters = traced.module.get_submodule(str(node.target)).parameters()
    return max((parameter.ndim for parameter in parameters), default=0)


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


def activation_layers(network: nn.Module) -> tuple[str, ...]:
    """The network's `key_layers`, each behind the nonlinearity that follows it, if one does.

    Whether a unit is dead, saturated or active with others can only be seen behind it.

    >>> network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    >>> network.input_shape = (4,)
    >>> key_layers(network), activation_layers(network)
    (('0',), ('1',))
    """
    traced = trace(network)
    points = list(cut_points(network))
    following = dict(pairwise(points))
    chosen = []
    for layer in key_layers(network):
        after = traced.find(following[layer]) if layer in following else None
        behind = after is not None and after.all_input_nodes == [traced.find(layer)]
        nonlinear = behind and after is not None and _acts_unit_by_unit(traced, after)
        chosen.append(following[layer] if nonlinear else layer)
    return tuple(chosen)


def bounds_of(
    network: nn.Module, layers: Iterable[str]
) -> dict[str, tuple[float, float] | None]:  # by layer
    """The smallest and the largest value that a layer's nonlinearity can give; None without one.

    An open side is infinite.

    >>> bounds_of(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), ["0", "1"])
    {'0': None, '1': (-1.0, 1.0)}
    """
    traced = trace(network)
    return {layer: _bounds(traced, traced.find(layer)) for layer in layers}


def _bounds(traced: Trace, node: fx.Node) -> tuple[float, float] | None:
    if node.op != "call_module":
        return _BOUNDS.get(_called(node))
    module = traced.module.get_submodule(str(node.target))
    if type(module) is nn.Hardtanh:
        return module.min_val, module.max_val
    return _BOUNDS.get(type(module).__name__.lower())


def _acts_unit_by_unit(traced: Trace, node: fx.Node) -> bool:
    if node.op == "call_module":
        module = traced.module.get_submodule(str(node.target))
        known = type(module).__module__ == "torch.nn.modules.activation"
        return known and not isinstance(module, _NO_UNIT_BY_ITSELF)
    return _called(node) in _FUNCTIONS


def _called(node: fx.Node) -> str:
    """The name of the function or method of a step."""
    name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", "")
    return name.strip("_")
