"""What a network is called with: as people have it, by name, and of other sizes."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from frankenstein.data.examples import Examples
from frankenstein.surgery.pieces import changed, pieces, placed
from frankenstein.surgery.refusal import LayerError

Inputs = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any] | Examples
_SIZES = (2, 3, 5, 7, 11, 13)  # of an example's batch


class Call(NamedTuple):
    """The arguments of one call of a network."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @classmethod
    def of(cls, inputs: Inputs) -> "Call":
        """A tensor is the only argument, a tuple all of them, a dict those of these names."""
        if isinstance(inputs, Call):
            return inputs
        if isinstance(inputs, Examples):
            return cls(inputs.args, dict(inputs.kwargs))
        if isinstance(inputs, Mapping):
            return cls((), dict(inputs))
        return cls(tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,), {})

    def map(self, change: Any) -> "Call":
        """The same with other tensors: `change(tensor)` instead of each."""
        return Call(*changed(tuple(self), change))

    def tensors(self) -> list[Tensor]:
        """All tensors among the arguments."""
        return [x for x in pieces(tuple(self)) if isinstance(x, Tensor)]


def named(
    signature: inspect.Signature, call: Call, partial: bool = False
) -> dict[str, Any]:  # by the name of a parameter, or that and its place inside
    """The single values of a call: tensors, and flags as given or by default.

    `partial` leaves out what is not given.

    Raises:
        LayerError: if these are not the parameters.
    """
    try:
        bind = signature.bind_partial if partial else signature.bind
        bound = bind(*call.args, **call.kwargs)
    except TypeError as error:
        raise LayerError(f"it is called in another way ({error})") from error
    if not partial:
        bound.apply_defaults()
    values: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = signature.parameters[name].kind
        spread = kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        for path, one in placed(value):
            words = [re.sub(r"\W+", "", str(key)) for key in path]
            own = [] if spread and kind == inspect.Parameter.VAR_KEYWORD else [name]
            values["_".join(own + words)] = one
    return values


def is_ids(x: Tensor) -> bool:
    """Whether a tensor may hold ids or a mask, of any length: an image is uint8."""
    return not x.is_floating_point() and x.dtype != torch.uint8


def free_axes(
    values: Iterable[Tensor], square: Iterable[Tensor] = ()
) -> dict[int, tuple[int, ...]]:  # by id of the tensor
    """The axes of inputs that may have another length in another batch.

    The first one; of ids and masks all; those as long as one of these, such as of a mask of
    floating-point numbers; and the second one of those that are `square`.
    """
    values = list(values)
    whole = [x for x in values if is_ids(x)]
    lengths = {size for x in whole for size in x.shape[1:]}
    ends = {id(x): 2 for x in square}
    return {
        id(x): tuple(
            axis
            for axis, size in enumerate(x.shape)
            if axis < ends.get(id(x), 1) or is_ids(x) or size in lengths
        )
        for x in values
    }


class Example(NamedTuple):
    """A batch that a network is recorded with, and which sizes of it are symbols."""

    call: Call
    free: dict[int, tuple[int, ...]]  # axes, by id of the tensor


def examples_of(call: Call) -> Iterator[Example]:
    """Batches to record a network with, the one that serves most other batches first.

    A small one; that, with inputs of N x N as small both ways, such as what joins the nodes of a
    graph; the batch itself; and the batch itself with all of its sizes fixed.
    """
    small = example_of(call)
    yield Example(small, free_axes(small.tensors()))
    tensors = call.tensors()
    both = tensors[0].shape[:1] * 2
    places = [i for i, x in enumerate(tensors) if i and both and x.shape[:2] == both]
    if places:
        small = example_of(call, places)
        tensors = small.tensors()
        yield Example(small, free_axes(tensors, [tensors[i] for i in places]))
    same = call.map(lambda x: x.detach().clone())
    yield Example(same, free_axes(same.tensors()))
    yield Example(same, {id(x): () for x in same.tensors()})


def example_of(call: Call, square: Sequence[int] = ()) -> Call:
    """A small batch like this one, as long as nothing else is long, so that it is told apart.

    Not one example: PyTorch takes a length of 1 for fixed. Tensors at the places `square` have two
    axes of that length.
    """
    tensors = call.tensors()
    batch = next((x.shape[0] for x in tensors if x.ndim), None)
    others = {size for x in tensors for i, size in enumerate(x.shape) if i or size != batch}
    size = next((n for n in _SIZES if n not in others), _SIZES[-1])

    both = {id(tensors[i]) for i in square}

    def small(x: Tensor) -> Tensor:
        axes = (0, 1) if id(x) in both else (0,)
        x = resized(x, dict.fromkeys(axes, size)) if x.ndim and x.shape[0] == batch else x
        if is_ids(x):
            x = resized(x, {axis: 2 for axis in range(1, x.ndim) if x.shape[axis] == 1})
        return x.detach().clone()

    return call.map(small)


def resized(x: Tensor, sizes: Mapping[int, int]) -> Tensor:
    """A tensor with axes of other lengths, its entries again and again."""
    for axis, size in sizes.items():
        if x.shape[axis] != size:
            x = x.index_select(axis, torch.arange(size, device=x.device) % x.shape[axis])
    return x


def images_of(network: nn.Module, shape: Iterable[int]) -> Call:
    """Random inputs of that shape, in the network's own precision and place."""
    tensors = chain(network.parameters(), network.buffers(), [torch.empty(0)])
    some = next(x for x in tensors if x.is_floating_point())
    x = torch.randn(_SIZES[0], *shape, generator=torch.Generator().manual_seed(0))
    return Call((x.to(some.device, some.dtype),), {})


_SIDES = (224, 224, 32)  # of a line, an image and a volume


def guess(network: nn.Module) -> Call:
    """Inputs that the network's first weights could take; the first batch shows whether it does."""
    for module in network.modules():
        match module:
            case nn.Linear():
                return images_of(network, (module.in_features,))
            case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
                axes = len(module.kernel_size)
                return images_of(network, (module.in_channels, *[_SIDES[axes - 1]] * axes))
            case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
                axes = {nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}.get(type(module), 0)
                return images_of(network, (module.num_features, *[_SIDES[axes - 1]] * axes))
    return images_of(network, (3, 224, 224))
