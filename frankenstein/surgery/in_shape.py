"""What common modules give, in shape alone: recording asks for no more, and PyTorch takes its time.

A rule serves a plain module of torch.nn, or a function, and a plain input; for all else the module
or the function itself is run.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import increment_version
from torch.nn import functional

from frankenstein.surgery.fakes import FakeTensor, fake_like, same_size
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
            return _made(args[0], sizes, module._parameters.values())
    out = type(module).forward(module, *args, **kwargs)
    if isinstance(module, nn.EmbeddingBag) and args and args[0].ndim == 2:
        # PyTorch counts the bags by dividing: not known to be as many as there are rows of ids.
        return _made(out, (len(args[0]), out.shape[1]), module._parameters.values())
    return out


def call_in_shape(function: Any, args: Any, kwargs: Any) -> Any:
    """What a function of torch gives for tensors without data."""
    rule = _OF_FUNCTIONS.get(function)
    fakes = any(type(one) is FakeTensor for one in args)
    fits = rule is not None and fakes and _names_fit(rule, args, kwargs)
    made = rule(*args, **kwargs) if rule is not None and fits else None
    return function(*args, **kwargs) if made is None else made


def _names_fit(rule: Callable[..., Any], args: Any, kwargs: Any) -> bool:
    """Whether a rule takes what is given by name: it knows no `addmm(c, mat1=x, mat2=w)`."""
    if not kwargs:
        return True
    return rule is _layer_normed and kwargs.keys() <= {"weight", "bias", "eps"} and len(args) > 1


def _made(x: Tensor, sizes: Any, weights: Iterable[Tensor | None] = ()) -> Tensor:
    """A tensor of these sizes, with gradients if what it is made of has some: code asks for it."""
    return fake_like(x, sizes, _carrier((x, *weights)), is_last=not x.is_contiguous())


def _carrier(sources: Iterable[Tensor | None]) -> Tensor | None:
    """One of them that has gradients, where gradients are kept."""
    if not torch.is_grad_enabled():
        return None
    return next((one for one in sources if one is not None and one.requires_grad), None)


def _is_plain(x: Any) -> bool:
    """Whether a tensor lies in memory in a way that is handed on: row by row, or channels last."""
    if type(x) is not FakeTensor or not x.is_floating_point():
        return False
    return x.is_contiguous() or (x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last))


def _fits(module: nn.Module, x: Any) -> bool:
    """Whether an input is of a module's kind, and lies in memory as its result will."""
    weights = [*module._parameters.values(), *module._buffers.values()]
    tensors = [one for one in weights if one is not None and one.is_floating_point()]
    return (
        _is_plain(x)
        and _is_as_set(module)
        and all(type(one) in (Tensor, nn.Parameter) and one.is_contiguous() for one in tensors)
        and all((one.dtype, one.device) == (x.dtype, x.device) for one in tensors)
    )


def _is_as_set(module: nn.Module) -> bool:
    """Whether a module's weights are as many as its settings say: pruning may leave fewer."""
    if isinstance(module, nn.Linear):
        return module.weight.shape == (module.out_features, module.in_features)
    if isinstance(module, nn.Conv2d):
        sizes = module.out_channels, module.in_channels // module.groups, *module.kernel_size
        return bool(module.weight.shape == sizes)
    own = (module._parameters.get("weight"), module._buffers.get("running_mean"))
    if isinstance(module, nn.BatchNorm2d):
        return all(one is None or one.shape == (module.num_features,) for one in own)
    return True


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


def _layer_normed(
    x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor | None:
    weights = [one for one in (weight, bias) if one is not None]
    last = tuple(x.shape[-len(shape) :])
    if not (_is_plain(x) and x.is_contiguous() and _are_numbers(last) and last == tuple(shape)):
        return None
    kinds = {(one.dtype, one.device) for one in (x, *weights)}
    fits = len(kinds) == 1 and all(one.shape == last for one in weights)
    return _made(x, x.shape, weights) if fits else None


def _alike(x: Tensor, *args: Any, **kwargs: Any) -> Tensor | None:
    """Of a function of each entry, if it is not told to write into what it is given."""
    return None if args or kwargs or not _is_plain(x) else _made(x, x.shape)


def _add_product(bias: Any, x: Any, weight: Any, **kwargs: Any) -> Tensor | None:
    """The linear layer of GPT-2."""
    if kwargs or not _is_plain(x) or not isinstance(weight, Tensor):
        return None
    if (bias.ndim, x.ndim, weight.ndim) != (1, 2, 2):
        return None
    kinds = {(one.dtype, one.device) for one in (bias, x, weight)}
    fits = _is(x, 1, weight.shape[0]) and _is(bias, 0, weight.shape[1]) and len(kinds) == 1
    return _made(x, (x.shape[0], weight.shape[1]), (bias, weight)) if fits else None


def _viewed(x: Tensor, *shape: Any) -> Tensor | None:
    """A view of what is contiguous, if it is plain that it has as many entries."""
    sizes = list(shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape)
    if not x.ndim or not all(isinstance(one, int | torch.SymInt) for one in sizes):
        return None
    if not x.is_contiguous() or any(type(one) is int and one == 0 for one in (*sizes, *x.shape)):
        return None
    old, new = list(x.shape), list(sizes)
    for end in (0, -1):
        while old and new and same_size(old[end], new[end]):
            del old[end], new[end]
    open_ones = [i for i, one in enumerate(sizes) if type(one) is int and one == -1]
    if len(open_ones) == 1:
        rest = [one for one in new if not (type(one) is int and one == -1)]
        if rest and not _are_numbers((*old, *rest)):
            return None
        whole, part = math.prod(old), math.prod(rest)
        if rest and whole % part:
            return None
        sizes[open_ones[0]] = whole // part if rest else whole
    elif open_ones or not same_size(math.prod(old), math.prod(new)):
        return None
    strides = [1]
    for size in reversed(sizes[1:]):
        strides.insert(0, strides[0] * size)
    return x.as_strided(sizes, strides[: len(sizes)])


def _are_numbers(sizes: Iterable[Any]) -> bool:
    return all(type(one) is int for one in sizes)


_OF_FUNCTIONS: dict[Any, Callable[..., Tensor | None]] = {
    functional.layer_norm: _layer_normed,
    torch.addmm: _add_product,
    Tensor.view: _viewed,
    Tensor.reshape: _viewed,
    **dict.fromkeys((functional.gelu, functional.silu, functional.relu), _alike),
    **dict.fromkeys((torch.relu, torch.tanh, torch.sigmoid), _alike),
}


def _recurrent(rnn: nn.RNNBase, x: Tensor, states: Any = None) -> Any:
    """PyTorch's own rule for it would go through the sequence."""
    if not isinstance(x, Tensor):
        raise LayerError(f"what goes into a {type(rnn).__name__} is a {type(x).__name__}")
    ways = 2 if rnn.bidirectional else 1
    turned = rnn.batch_first and x.ndim == 3  # in memory time comes first
    steps, *batch = (x.transpose(0, 1) if turned else x).shape[:-1]
    given = states if isinstance(states, tuple) else (states,)
    carrier = _carrier((x, *given, *rnn._parameters.values()))

    def made(*sizes: Any) -> Tensor:
        return fake_like(x, sizes, carrier) if isinstance(x, FakeTensor) else x.new_empty(sizes)

    out = made(steps, *batch, (rnn.proj_size or rnn.hidden_size) * ways)
    out = out.transpose(0, 1) if turned else out
    hidden = made(rnn.num_layers * ways, *batch, rnn.proj_size or rnn.hidden_size)
    if rnn.mode != "LSTM":
        return out, hidden
    return out, (hidden, made(rnn.num_layers * ways, *batch, rnn.hidden_size))
