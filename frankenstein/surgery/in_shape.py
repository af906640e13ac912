"""What common modules give, in shape alone: recording asks for no more, and PyTorch takes its time.

A rule serves a plain module of torch.nn and a plain input; for all else the module itself is run.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from frankenstein.surgery.refusal import LayerError


def in_shape(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    """What a module gives for tensors without data."""
    if isinstance(module, nn.RNNBase):
        return _recurrent(module, *args, **kwargs)
    rule = _RULES.get(type(module))
    if rule is not None and len(args) == 1 and not kwargs and _fits(module, args[0]):
        if getattr(module, "inplace", False):
            increment_version(args[0])
            return args[0]
        sizes = rule(module, args[0])
        if sizes is not None:
            return _carrying(module, args[0], args[0].new_empty(sizes))
    return type(module).forward(module, *args, **kwargs)


def _carrying(module: nn.Module, x: Tensor, made: Tensor) -> Tensor:
    """The same with gradients, if the module would give them: code asks for requires_grad."""
    weights = any(one is not None and one.requires_grad for one in module._parameters.values())
    carries = torch.is_grad_enabled() and (x.requires_grad or weights)
    return made.requires_grad_().clone() if carries else made  # a copy may be written into


def _fits(module: nn.Module, x: Any) -> bool:
    """Whether an input is of a module's kind, and lies in memory as its result will."""
    weights = [*module._parameters.values(), *module._buffers.values()]
    tensors = [one for one in weights if one is not None and one.is_floating_point()]
    return (
        isinstance(x, Tensor)
        and x.is_floating_point()
        and x.is_contiguous()
        and all(type(one) in (Tensor, nn.Parameter) and one.is_contiguous() for one in tensors)
        and all((one.dtype, one.device) == (x.dtype, x.device) for one in tensors)
    )


def _linear(module: nn.Linear, x: Tensor) -> Any:
    return (*x.shape[:-1], module.out_features) if _is(x, -1, module.in_features) else None


def _layer_norm(module: nn.LayerNorm, x: Tensor) -> Any:
    last = x.shape[-len(module.normalized_shape) :]
    known = all(type(size) is int for size in last)
    return x.shape if known and tuple(last) == module.normalized_shape else None


def _batch_norm(axes: int) -> Callable[[Any, Tensor], Any]:
    def rule(module: nn.BatchNorm2d, x: Tensor) -> Any:
        still = not module.training and module.running_mean is not None
        return x.shape if still and x.ndim == axes and _is(x, 1, module.num_features) else None

    return rule


def _convolution(module: nn.Conv2d, x: Tensor) -> Any:
    plain = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if not plain or x.ndim != 4 or not _is(x, 1, module.in_channels):
        return None
    settings: Any = module.kernel_size, module.stride, module.padding, module.dilation
    places = []
    for size, kernel, stride, padding, dilation in zip(x.shape[2:], *settings, strict=True):
        if type(size) is not int:
            return None
        places.append((size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
    return (x.shape[0], module.out_channels, *places) if min(places) > 0 else None


def _each(module: nn.Module, x: Tensor) -> Any:
    return x.shape


def _is(x: Tensor, axis: int, size: int) -> bool:
    """Whether an axis has that length, without asking it of a symbol."""
    return x.ndim > 0 and type(x.shape[axis]) is int and x.shape[axis] == size


_RULES: dict[type, Callable[[Any, Tensor], Any]] = {
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
    nn.BatchNorm2d: _batch_norm(4),
    nn.Conv2d: _convolution,
    **dict.fromkeys((nn.GELU, nn.Hardsigmoid, nn.Hardswish, nn.ReLU, nn.ReLU6, nn.SiLU), _each),
    **dict.fromkeys((nn.Sigmoid, nn.Tanh), _each),
}


def _recurrent(rnn: nn.RNNBase, x: Tensor, states: Any = None) -> Any:
    """PyTorch's own rule for it would go through the sequence."""
    if not isinstance(x, Tensor):
        raise LayerError(f"what goes into a {type(rnn).__name__} is a {type(x).__name__}")
    ways = 2 if rnn.bidirectional else 1
    turned = rnn.batch_first and x.ndim == 3  # in memory time comes first
    steps, *batch = (x.transpose(0, 1) if turned else x).shape[:-1]
    out = x.new_empty(steps, *batch, (rnn.proj_size or rnn.hidden_size) * ways)
    out = out.transpose(0, 1) if turned else out
    hidden = x.new_empty(rnn.num_layers * ways, *batch, rnn.proj_size or rnn.hidden_size)
    if rnn.mode != "LSTM":
        return out, hidden
    return out, (hidden, x.new_empty(rnn.num_layers * ways, *batch, rnn.hidden_size))
