"""Halves of frozen networks with less to do, and the same numbers bit for bit."""

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from frankenstein.surgery.cut import Cut
from frankenstein.surgery.in_place import work_in_place

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def lighten(halves: Cut) -> Cut:
    """Halves for training what lies between them: the front without gradients, the end with them.

    They share the weights of those given, which stay as they are. In the front activations
    overwrite what nothing else reads; in the end BatchNorm passes gradients on without computing
    those of its own parameters. Numbers and gradients are the same to the last bit.
    """
    return Cut(_changed(halves.front, work_in_place), _changed(halves.end, _pass_on))


def _changed(part: nn.Module, change: Any) -> nn.Module:
    twin = copy.copy(part)
    if isinstance(twin, fx.GraphModule):
        change(twin)
    else:  # a part and what lays its result
        twin._modules = {name: _changed(child, change) for name, child in part.named_children()}
    return twin


def _pass_on(part: fx.GraphModule) -> None:
    # Not what lies inside of a step: that is the network's own.
    for name in {str(node.target) for node in part.graph.nodes if node.op == "call_module"}:
        if type(norm := part.get_submodule(name)) in _NORMS:
            part.set_submodule(name, _FrozenNorm(norm))


class _FrozenNorm(nn.Module):
    """BatchNorm in evaluation mode is a scale: PyTorch sums over all places for its gradient, too.

    Where a norm's weights are trained, and where PyTorch rounds in another way (not float32, not on
    a CPU), it is the norm itself.
    """

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        norm: Any = self.norm
        scale = not norm.training and norm.running_var is not None
        trained = any(one.requires_grad for one in norm.parameters())
        if scale and not trained and x.dtype == torch.float32 and x.device.type == "cpu":
            return _Scale.apply(x, norm)
        return norm(x)


class _Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: Any) -> Tensor:
        ctx.norm = norm
        return norm(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        norm, places = ctx.norm, (-1,) + (1,) * (gradient.ndim - 2)
        # As PyTorch does: the deviation in double precision, the products in float32.
        deviation = (norm.running_var.double() + norm.eps).sqrt()
        passed = gradient * (1 / deviation).float().view(places)
        return passed if norm.weight is None else passed * norm.weight.view(places), None
