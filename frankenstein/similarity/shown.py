"""What a comparison passes over: batches of inputs, and the rows of files that belong to them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler

from frankenstein.activations import Activations
from frankenstein.activations.checks import check_same_examples
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches, mixed
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.networks.data import look_of
from frankenstein.networks.network import Network

Side = Network | nn.Module | Activations

_ROWS = 256  # of files that are read at once, if they are not large
_BYTES = 2**28  # of the rows that are read at once
_BLOCK = 64  # examples of a Gram matrix where those of all would take more


@dataclass(frozen=True)
class Shown:
    """Inputs of networks, in batches, or none of them where both sides are there already."""

    batches: Iterable[Any]
    order: Tensor | None = None  # of the rows of files, one for each input
    block: int | None = None  # examples of a Gram matrix, if files decide
    data: ImageData | None = None

    @property
    def called(self) -> str:
        """What examples are."""
        return "examples" if self.data is None else self.data.called

    @property
    def examples(self) -> int:
        """How many there are, of a data set or of files."""
        return len(self.order) if self.data is None else len(self.data.val_labels)  # type: ignore

    @property
    def padded(self) -> bool:
        """Whether they are sentences of several lengths."""
        return isinstance(self.data, Text)

    @property
    def black(self) -> Tensor:
        """Two images of the data."""
        assert self.data is not None
        return self.data.blank(2)

    def look(self, side: Side) -> nn.Module | None:
        """What a network looks at a batch with; None if it takes it as it is."""
        known = isinstance(side, Network) and self.data is not None
        return look_of(side, self.data) if known else None  # type: ignore[arg-type]


def shown_to(
    sides: Sequence[Side],
    batches: Iterable[Any] | ImageData | None,  # None: both are files
    confounders: Activations | None = None,  # of files: what stands for the inputs
) -> Shown:
    """The pass for two sides; of `ImageData` over the held-out images, in random order.

    Raises:
        UserError: if there are inputs and nobody to see them, or none and a network; if nobody
            knows which rows belong to which inputs, or if they are not as many.
    """
    files = [side for side in sides if isinstance(side, Activations)]
    if len(files) == 2:
        if batches is not None:
            raise UserError(
                f"{files[0].source} and {files[1].source} are activations, and nobody looks at "
                "data; leave these out"
            )
        return _of_files(files[0], files[1], confounders)
    if batches is None:
        raise UserError("a network needs batches of inputs, got none; give a loader or a data set")
    data = batches if isinstance(batches, ImageData) else None
    given = batches.mixed_val_batches() if isinstance(batches, ImageData) else batches
    return Shown(given, _order(files[0], given) if files else None, data=data)


def _of_files(one: Activations, other: Activations, confounders: Activations | None) -> Shown:
    shapes = [{s: layer.shape for s, layer in side.layers.items()} for side in (one, other)]
    check_same_examples(shapes[0], shapes[1], (one.source, other.source))
    n, each = len(one), one.bytes_of_one + other.bytes_of_one
    # The order in which networks are shown a data set of so many images.
    order = torch.cat([*mixed(n, _ROWS)(0)])
    size = max(1, min(_ROWS, _BYTES // each))
    block = _BLOCK if n * each > 2 * _BYTES else None
    return Shown(_Parts(order.split(size), confounders), order, block)


@dataclass(frozen=True)
class _Parts:
    """Batches that hold no input, or rows of confounders."""

    parts: Sequence[Tensor]  # numbers of rows
    confounders: Activations | None

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self.parts:
            if self.confounders is None:
                yield torch.empty(len(rows), 0)
            else:
                yield next(iter(self.confounders.read(rows).values()))


def _order(activations: Activations, batches: Iterable[Any]) -> Tensor:
    """Which row belongs to each input in turn.

    Raises:
        UserError: if nobody knows, or there are more or fewer.
    """
    n = len(activations)
    if isinstance(batches, Batches):
        if len(batches.labels) != n:
            raise UserError(
                f"{activations.source} holds {n} examples, and the data set has "
                f"{len(batches.labels)} of this part; rows are all of them, in their own order. "
                "Of other examples write a file of each network, and compare the two files"
            )
        return torch.cat([*batches.order(batches.epoch)])
    if isinstance(batches, DataLoader) and not isinstance(batches.sampler, SequentialSampler):
        raise UserError(
            f"rows of {activations.source} belong to inputs in the order of the data, and this "
            "DataLoader draws its own; make it with shuffle=False"
        )
    return torch.arange(n)
