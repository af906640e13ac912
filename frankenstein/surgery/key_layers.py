"""The few cut points of a network that a matrix of layers is about unless others are named."""

from torch import fx, nn

from frankenstein.surgery.cut_points import cut_points
from frankenstein.surgery.flow import narrows
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
