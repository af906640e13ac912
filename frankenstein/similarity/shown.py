"""What a comparison passes over: batches of inputs, and the rows of files that belong to them."""

from collections import UserDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from frankenstein.activations import Activations
from frankenstein.activations.checks import (
    check_same_examples,
    check_same_labels,
    check_same_order,
)
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches, mixed
from frankenstein.data.examples import Inputs
from frankenstein.data.given import given
from frankenstein.data.own import OwnData
from frankenstein.data.raw import is_raw
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.networks.data import look_of, view_of
from frankenstein.networks.network import Network

Side = Network | nn.Module | Activations

_ROWS = 256  # of files that are read at once, if they are not large
_BYTES = 2**28  # of the rows that are read at once
_READ_TWICE = 2**26  # bytes of a layer that is read once more, to see whether its rows have moved
_BLOCK = 64  # examples of a Gram matrix where those of all would take more


@dataclass(frozen=True)
class Shown:
    """Inputs of networks, in batches, or none of them where all sides are there already."""

    batches: Iterable[Any]
    order: Tensor | None = None  # of the rows of files, one for each input
    block: int | None = None  # examples of a Gram matrix, if files decide
    data: ImageData | None = None
    own: "_OwnBatches | None" = None  # of the user's, where there is no data set
    part: nn.Module | None = None  # from what both networks are shown to what this one is

    @property
    def called(self) -> str:
        """What examples are."""
        return "examples" if self.data is None else self.data.called

    @property
    def examples(self) -> int:
        """How many there are, of a data set or of files."""
        return len(self.order) if self.data is None else self.data.num_val  # type: ignore

    @property
    def padded(self) -> bool:
        """Whether they are sentences of several lengths."""
        return isinstance(self.data, Text)

    @property
    def black(self) -> Any:
        """Two images of the data."""
        assert self.data is not None
        return self.data.blank()

    @property
    def first(self) -> Any:
        """The inputs of a first batch; None where there are none."""
        if self.own is not None:
            return self.own.first
        return None if self.data is None else self.data.blank()

    def look(self, side: Side) -> nn.Module | None:
        """What a network looks at a batch with; None if it takes it as it is."""
        assert not isinstance(side, Activations)
        if self.own is not None:
            return self.own.look(side)
        if isinstance(side, Network):
            return None if self.data is None else look_of(side, self.data)
        if isinstance(self.data, OwnData) and not self.data.pictured:
            return self.data.look_for(side)
        return None


def shown_to(
    sides: Sequence[Side],
    batches: Iterable[Any] | ImageData | None,  # None: all are files
    confounders: Activations | None = None,  # of files: what stands for the inputs
    labels: Tensor | None = None,  # of files, the class of every row
) -> Shown:
    """The pass for two sides or more; of `ImageData` over the held-out images, in random order.

    Raises:
        UserError: if there are inputs and nobody to see them, or none and a network; if nobody
            knows which rows belong to which inputs, or if they are not as many.
    """
    files = [side for side in sides if isinstance(side, Activations)]
    if len(files) == len(sides):
        if batches is not None:
            raise UserError(
                f"{' and '.join(file.source for file in files)} are activations, and nobody looks "
                "at data; leave these out"
            )
        return _of_files(files, confounders, labels)
    if batches is None:
        raise UserError("a network needs batches of inputs, got none; give a loader or a data set")
    modules = [module_of(side) for side in sides if not isinstance(side, Activations)]
    data = data_of(batches, modules)
    taken: Any = batches if data is None else data.mixed_val_batches()
    orders = [_order(file, taken) for file in files]
    order = orders[0] if orders else None
    if data is not None:
        return Shown(taken, order, data=data)
    own = _OwnBatches(taken, modules)
    return Shown(own, order, own=own)


def module_of(side: Network | nn.Module) -> nn.Module:
    """The module of a network."""
    return side.module if isinstance(side, Network) else side


def data_of(given: Any, modules: Sequence[nn.Module]) -> ImageData | None:
    """The data set in what stands for data in Python; None for batches.

    It may be a data set of the project, in a DataModule or not, or any LightningDataModule or
    Dataset, read for these networks.
    """
    data = getattr(given, "data", given)  # of frankenstein.tasks.DataModule
    if not isinstance(data, ImageData) and (
        isinstance(given, Dataset)
        or all(hasattr(given, f"{part}_dataloader") for part in ("train", "val"))
    ):
        data = OwnData(f"this {type(given).__name__}", given)
    if isinstance(data, OwnData):
        data.shown_to(modules)
    if not isinstance(data, ImageData):
        return None
    data.setup()
    return data


class _OwnBatches:
    """The inputs in a user's batches, read as the first of them shows."""

    def __init__(self, batches: Any, modules: Sequence[nn.Module]) -> None:
        if isinstance(batches, Tensor):
            batches = batches.split(_ROWS)
        elif isinstance(batches, Mapping | UserDict):
            batches = [batches]
        if not isinstance(batches, Iterable):
            raise UserError(
                f"data are a DataLoader or another iterable of batches, a Dataset, a "
                f"LightningDataModule or a data set, got {type(batches).__name__}"
            )
        self._left_to_do = getattr(batches, "left_to_do", None)
        rest = iter(batches)
        few = [*islice(rest, 1)]
        self.given = given(few[0], modules) if few else None
        self.batches = chain(few, rest)
        self.first = self._read(few[0])[0] if few else None

    def __iter__(self) -> Iterator[Any]:
        """Inputs, and labels where there are any."""
        for inputs, labels in map(self._read, self.batches):
            yield inputs if labels is None else (inputs, labels)

    def look(self, side: Network | nn.Module) -> nn.Module | None:
        """From the inputs to those that a network takes; of raw images what it sees of them."""
        if self.given is None:
            return None
        if isinstance(side, Network) and is_raw(self.first):
            return view_of(side, self.first)
        return self.given.look(module_of(side))

    def _read(self, batch: Any) -> tuple[Inputs, Tensor | None]:
        assert self.given is not None
        inputs, labels = self.given.read(batch)
        return inputs if self._left_to_do is None else self._left_to_do(inputs), labels


def _of_files(
    files: Sequence[Activations], confounders: Activations | None, labels: Tensor | None
) -> Shown:
    shapes = [{s: layer.shape for s, layer in side.layers.items()} for side in files]
    for theirs, file in zip(shapes[1:], files[1:], strict=True):
        check_same_examples(shapes[0], theirs, (files[0].source, file.source))
        _check_order(files[0], file)
    n, each = len(files[0]), sum(file.bytes_of_one for file in files)
    # The order in which networks are shown a data set of so many images.
    order = torch.cat([*mixed(n, _ROWS)(0)])
    size = max(1, min(_ROWS, _BYTES // each))
    block = _BLOCK if n * each > 2 * _BYTES else None
    return Shown(_Parts(order.split(size), confounders, labels), order, block)


def _check_order(one: Activations, other: Activations) -> None:
    """Refuse rows in another order, as far as labels tell, or layers that are small enough to read.

    Raises:
        UserError: if they are.
    """
    sources = one.source, other.source
    if one.labels is not None and other.labels is not None:
        check_same_labels(one.labels, other.labels, sources)
    for name, layer in one.layers.items():
        same = other.layers.get(name) or next(iter(other.layers.values()))
        if same.shape == layer.shape and 4 * prod(layer.shape) <= _READ_TWICE:
            rows = torch.arange(len(one))
            check_same_order(layer.read(rows), same.read(rows), sources)
            return


@dataclass(frozen=True)
class _Parts:
    """Batches that hold no input, or rows of confounders; and labels, if these are known."""

    parts: Sequence[Tensor]  # numbers of rows
    confounders: Activations | None
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Tensor | tuple[Tensor, Tensor]]:
        for rows in self.parts:
            inputs = torch.empty(len(rows), 0)
            if self.confounders is not None:
                inputs = next(iter(self.confounders.read(rows).values()))
            yield inputs if self.labels is None else (inputs, self.labels[rows])


def _order(activations: Activations, batches: Iterable[Any]) -> Tensor:
    """Which row belongs to each input in turn.

    Raises:
        UserError: if nobody knows, or there are more or fewer.
    """
    n = len(activations)
    if isinstance(batches, Batches):
        if len(batches.labels) != n:
            shapes = [layer.shape for layer in activations.layers.values()]
            turned = ""
            if any(len(shape) == 2 and shape[1] == len(batches.labels) for shape in shapes):
                turned = "it lies units x examples, it seems; save it transposed"
            raise UserError(
                f"{activations.source} holds {n} examples, and the data set has "
                f"{len(batches.labels)} of this part; "
                + (
                    turned
                    or "rows are all of them, in their own order. Of other examples write a "
                    "file of each network, and compare the two files"
                )
            )
        labels = batches.labels.cpu()
        if activations.labels is not None and labels.ndim == 1 and len(labels.unique()) > 1:
            check_same_labels(activations.labels, labels, (activations.source, "the data set"))
        return torch.cat([*batches.order(batches.epoch)])
    if isinstance(batches, DataLoader) and not isinstance(batches.sampler, SequentialSampler):
        raise UserError(
            f"rows of {activations.source} belong to inputs in the order of the data, and this "
            "DataLoader draws its own; make it with shuffle=False"
        )
    return torch.arange(n)
