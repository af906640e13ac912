"""What is in a user's batches: which tensors are inputs, and of whom, and which are labels."""

import inspect
from collections import UserDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frankenstein.data.examples import Arguments, Examples, Inputs, Key, signature_of
from frankenstein.errors import DataError, did_you_mean
from frankenstein.labels import NOT_ASKED, by_token

_INPUTS = (
    *("image", "images", "img", "input", "inputs", "x", "data", "features"),
    *("pixel_values", "input_ids", "input_values"),
)
_LABELS = ("label", "labels", "target", "targets", "y", "class", "classes", "label_ids")


@dataclass(frozen=True)
class Given:
    """How batches of one kind are read, found out from the first of them."""

    parts: tuple[Key, ...]  # of the inputs; () where a batch is the input
    labels: Key | None  # None: there are none
    line: str  # says so
    single: bool = True  # whether the inputs are one tensor, which every network takes by place

    def read(self, batch: Any) -> tuple[Inputs, Tensor | None]:
        """Inputs and labels of a batch.

        Raises:
            DataError: if it is of another kind than the first.
        """
        if not self.parts:
            return _tensor(batch, "the batch"), None
        leaves = _opened(batch)
        wanted = [*self.parts, *([] if self.labels is None else [self.labels])]
        if missing := [key for key in wanted if key not in leaves]:
            raise DataError(
                f"a batch holds {_listed(leaves)}, and the first held {_listed(wanted)}: "
                f"{missing[0]!r} is missing"
            )
        labels = None if self.labels is None else _whole(leaves[self.labels])
        if labels is not None and by_token(labels):
            labels = _there(labels, leaves.get("attention_mask"))
        if self.single:
            return leaves[self.parts[0]], labels
        return Examples({key: leaves[key] for key in self.parts}), labels

    def look(self, network: nn.Module) -> Arguments | None:
        """From several inputs to those that a network takes; None if there is one."""
        return None if self.single else _arguments(network, self.parts)


def given(batch: Any, networks: Sequence[nn.Module] = ()) -> Given:
    """How batches like this one are read, for these networks.

    A batch is a tensor; a tuple or list; or a dict, a `BatchEncoding` or a dataclass. In a tuple
    the first is the input, and as many more as a network requires; classes (whole numbers, one for
    each example) or several labels (0.0 and 1.0) behind them are the labels, and so are classes
    that come first, before something of more axes. By name, labels are called label, target, y or
    the like, and a network takes what its `forward` has an argument for; if that has one, it takes
    what is called image, input or the like, or the only tensor there is. Whole numbers (N, T) of
    such a name are a class for each token, -100 where none is asked for or the mask has none.

    Raises:
        DataError: if there is no input, or a network takes what the batch does not have.

    >>> one = given((torch.zeros(5), torch.zeros(5, 3, 8, 8)))
    >>> given((torch.zeros(5, dtype=torch.long), torch.zeros(5, 3, 8, 8))).line
    'batches: input number 2, labels number 1'
    """
    if isinstance(batch, Tensor | np.ndarray):
        _tensor(batch, "the batch")
        return Given((), None, "batches: inputs, no labels")
    leaves = _opened(batch)
    if not leaves:
        raise DataError(f"a batch is tensors, got {_what(batch)}; {_advice(batch)}")
    required = max((len(_required(one)) for one in networks), default=1)
    labels = _labels(leaves, required)
    # What is called a label is never an input, though a model of transformers takes it as one.
    left = [key for key in leaves if key != labels and str(key).lower() not in _LABELS]
    if isinstance(batch, list | tuple) and isinstance(batch[0], Mapping | UserDict | list | tuple):
        own = [key for key in left if key in _opened(batch[0])]
        left = own or left
    if not left:
        raise DataError(f"a batch holds {_listed(leaves)}, and no inputs beside the labels")
    chosen = [_arguments(one, left) for one in networks] or [Arguments(_main(left)[:1], True)]
    parts = tuple(key for key in left if any(key in one.keys for one in chosen))
    single = len(parts) == 1 and all(one.main for one in chosen)
    others = [key for key in leaves if key not in parts and key != labels]
    line = "batches: " + ", ".join(
        [
            f"input{'s' if len(parts) > 1 else ''} {_listed(parts)}",
            "no labels" if labels is None else f"labels {_name(labels)}",
            *([f"left out {_listed(others)}"] if others else []),
        ]
    )
    return Given(parts, labels, line, single)


def _opened(batch: Any) -> dict[Key, Tensor]:
    """The tensors in a batch by name, or by place, in which those of an inner tuple count, too.

    Raises:
        DataError: if two have one name.
    """
    leaves: dict[Key, Tensor] = {}
    for key, value in _items(batch):
        inner: dict[Key, Tensor] = {}
        if isinstance(value, Tensor | np.ndarray) or _is_numbers(value):
            inner[key] = _tensor(value, f"{_name(key)} of a batch")
        elif isinstance(value, Mapping | UserDict | list | tuple) or _is_record(value):
            inner = _opened(value)
        for name, x in inner.items():
            if isinstance(name, int):
                name = sum(isinstance(one, int) for one in leaves)
            if name in leaves:
                raise DataError(f"a batch holds {name!r} twice; give each tensor its own name")
            if x.ndim:
                leaves[name] = x
    return leaves


def _items(batch: Any) -> Iterator[tuple[Key, Any]]:
    if isinstance(batch, Mapping | UserDict):
        yield from ((str(key), value) for key, value in batch.items())
    elif hasattr(batch, "_asdict"):
        yield from batch._asdict().items()
    elif isinstance(batch, list | tuple):
        yield from enumerate(batch)
    elif is_dataclass(batch) and not isinstance(batch, type):
        yield from ((one.name, getattr(batch, one.name)) for one in fields(batch))
    elif _is_record(batch):
        yield from vars(batch).items()


def _is_record(value: Any) -> bool:
    """Whether it is an object with tensors among its attributes, such as a batch of a library."""
    if isinstance(value, Tensor | np.ndarray | str | bytes | type) or value is None:
        return False
    held = getattr(value, "__dict__", {})
    return any(isinstance(one, Tensor) for one in held.values())


def _is_numbers(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(one, int | float) for one in value)
    )


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind not in "fiub":
        raise DataError(f"{name} is an array of {value.dtype}, not of numbers; {_advice(value)}")
    x = torch.as_tensor(value)
    if x.is_nested or x.layout != torch.strided:
        raise DataError(f"{name} is a {x.layout} tensor; pad its examples to one length")
    return x


def _is_classes(x: Tensor) -> bool:
    """Whether it may be one whole number for each example."""
    whole = not x.is_floating_point() and not x.is_complex() and x.dtype != torch.uint8
    return whole and (x.ndim == 1 or (x.ndim == 2 and x.shape[1] == 1))


def _is_labels(x: Tensor) -> bool:
    """Whether it may be classes, or several labels of 0.0 and 1.0."""
    several = x.ndim == 2 and x.is_floating_point() and bool(((x == 0) | (x == 1)).all())
    return _is_classes(x) or several or (x.ndim == 1 and x.dtype == torch.uint8)


def _whole(labels: Tensor) -> Tensor:
    """Classes as (N,) int64, of tokens as (N, T); several labels as float."""
    if labels.is_floating_point():
        return labels.float()
    return labels.long() if labels.ndim == 2 and labels.shape[1] > 1 else labels.flatten().long()


def _there(labels: Tensor, mask: Tensor | None) -> Tensor:
    """Labels of tokens without those of padding, which some fill up with 0."""
    if mask is None or mask.shape != labels.shape:
        return labels
    return labels.where(mask != 0, NOT_ASKED)


def _labels(leaves: Mapping[Key, Tensor], required: int) -> Key | None:
    """Which of them are labels."""
    named = {str(key).lower(): key for key in leaves if isinstance(key, str)}
    for name in _LABELS:
        if name in named:
            x = leaves[named[name]]
            if _is_labels(x) or (by_token(x) and x.dtype in (torch.int32, torch.int64)):
                return named[name]
    places = [key for key in leaves if isinstance(key, int)]
    if len(leaves) < 2 or not places:
        return None
    if _is_classes(leaves[places[0]]) and len(places) == 2:
        other = leaves[places[1]]
        if other.ndim > 1 and not _is_labels(other):
            return places[0]
    behind = places[required:] if named == {} else places
    return next((key for key in behind if _is_labels(leaves[key])), None)


def _required(network: nn.Module) -> list[str]:
    """Arguments of a network that it cannot do without."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    both = (*kinds, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, one in signature_of(network).parameters.items()
        if one.default is one.empty and one.kind in both
    ]


def _main(keys: Sequence[Key]) -> list[Key]:
    """The input that goes by place: of the usual name, the first, or the only one."""
    named = {str(key).lower(): key for key in keys if isinstance(key, str)}
    usual: list[Key] = [named[name] for name in _INPUTS if name in named]
    places: list[Key] = [key for key in keys if isinstance(key, int)]
    return usual or places or ([*keys] if len(keys) == 1 else [])


def _arguments(network: nn.Module, keys: Sequence[Key]) -> Arguments:
    """What a network takes of the inputs.

    Raises:
        DataError: if it takes what is not there, or nobody knows what.
    """
    signature, required = signature_of(network).parameters, _required(network)
    names = [key for key in keys if isinstance(key, str) and key in signature]
    kinds = [one.kind for one in signature.values()]
    anything = inspect.Parameter.VAR_KEYWORD in kinds and len(kinds) <= 2 and not required
    if anything and all(isinstance(key, str) for key in keys):
        return Arguments(keys)
    if names and not (missing := [name for name in required if name not in names]):
        alone = len(names) == 1 and next(iter(signature)) == names[0]
        return Arguments(names, main=alone)
    title = type(network).__name__
    if names and len(required) > 1:
        near = did_you_mean(missing[0], [str(key) for key in keys])
        raise DataError(
            f"forward of {title} needs {', '.join(required)}, and batches hold {_listed(keys)}: "
            f"{missing[0]!r} is missing{near}"
        )
    if len(required) > 1:
        places = [key for key in keys if isinstance(key, int)]
        if len(places) < len(required):
            raise DataError(
                f"forward of {title} needs {', '.join(required)}, and batches hold "
                f"{_listed(keys)}; name them as forward does, in a dict"
            )
        return Arguments(places[: len(required)])
    main = _main(keys)
    if not main:
        raise DataError(
            f"batches hold {_listed(keys)}, and forward of {title} takes "
            f"{', '.join(signature) or 'nothing'}; give the input one of these names, or input"
        )
    return Arguments(main[:1], main=True)


def _listed(keys: Any) -> str:
    return " and ".join(map(_name, keys))


def _name(key: Key) -> str:
    return f"number {key + 1}" if isinstance(key, int) else repr(key)


def _what(batch: Any) -> str:
    kind = type(batch).__name__
    if isinstance(batch, list | tuple) and batch:
        return f"a {kind} of {type(batch[0]).__name__}"
    return f"a {kind}"


def _advice(batch: Any) -> str:
    """What to do with a batch of no tensors."""
    first = batch
    while isinstance(first, list | tuple | np.ndarray) and len(first):
        first = first[0]
    if isinstance(first, str | bytes):
        return "text becomes numbers by a tokenizer, such as in collate_fn of a DataLoader"
    if type(first).__module__.startswith("PIL"):
        return "images become tensors by torchvision.transforms.v2.functional.pil_to_tensor"
    return "make tensors of it in the data set, or in collate_fn of a DataLoader"
