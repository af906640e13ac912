"""Examples of a user's loader, read by row in any order; labels are kept as they come by."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from frankenstein.data.examples import Examples, Inputs, joined
from frankenstein.data.given import Given, given
from frankenstein.data.padding import joined as joined_padded
from frankenstein.data.padding import there_of
from frankenstein.data.raw import is_raw
from frankenstein.errors import DataError, counted
from frankenstein.labels import NOT_ASKED, by_token
from frankenstein.memory import free_memory

_LOOK = 64  # examples of the first look
_SHARE = 0.5  # of free memory, at most, for examples that come in one order only


class Rows:
    """Examples by row: read when they are asked for; labels are kept as they come by."""

    def __init__(
        self,
        label: str,
        read: Callable[[Tensor], tuple[Inputs, Tensor | None]],  # rows to inputs and labels
        n: int,
        how: Given,
        dtype: torch.dtype | None,
        notes: Sequence[str] = (),
    ) -> None:
        self.label, self.n, self.given, self.dtype = label, n, how, dtype
        self.notes = list(notes)
        self._read = read
        self._known = torch.zeros(n, dtype=torch.bool)
        self._labels: Tensor | None = None
        self.told_apart: int | None = None  # classes, by the network that the labels judge
        first, _ = self.read(torch.arange(min(2, n)))
        self.pictured = is_raw(first)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: Tensor | slice) -> Inputs:
        return self.read(torch.arange(self.n)[rows])[0]

    def read(self, rows: Tensor) -> tuple[Inputs, Tensor]:
        """Inputs and labels of these rows, in their order; labels (N, 0) where there are none."""
        inputs, labels = self._read(rows)
        if len(inputs) != len(rows):
            raise DataError(f"{self.label}: {len(rows)} examples make a batch of {len(inputs)}")
        inputs = _channels_first(inputs)
        if self.dtype is not None:
            wanted = self.dtype
            change = lambda x: x.to(wanted) if x.dtype == torch.float64 else x  # noqa: E731
            inputs = inputs.map(change) if isinstance(inputs, Examples) else change(inputs)
        if labels is None:
            return inputs, torch.empty(len(rows), 0)
        if len(labels) != len(rows):
            raise DataError(
                f"{self.label}: a batch has {len(rows)} inputs and {len(labels)} labels"
            )
        self._check(labels)
        self._keep(rows, labels)
        return inputs, labels

    def _check(self, labels: Tensor) -> None:
        """Refuse classes that cannot be."""
        if labels.is_floating_point() or not labels.numel():
            return
        classes = labels[labels != NOT_ASKED] if by_token(labels) else labels
        if not len(classes):
            return
        least, most = int(classes.min()), int(classes.max())
        if least < 0:
            raise DataError(f"{self.label}: classes are 0 or more, got {least}")
        if self.told_apart is not None and most >= self.told_apart:
            raise DataError(
                f"{self.label}: a label is {most}, and the network that is judged by it tells "
                f"{self.told_apart} classes apart, 0 to {self.told_apart - 1}; give the labels "
                "that it was trained on"
            )

    def _keep(self, rows: Tensor, labels: Tensor) -> None:
        """Labels of tokens are kept as wide as the longest sentence so far."""
        if self._labels is None:
            self._labels = labels.new_full((self.n, *labels.shape[1:]), NOT_ASKED)
        if by_token(labels):
            missing = labels.shape[1] - self._labels.shape[1]
            wider = functional.pad(self._labels, (0, max(missing, 0)), value=NOT_ASKED)
            labels = functional.pad(labels, (0, max(-missing, 0)), value=NOT_ASKED)
            self._labels = wider
        self._labels[rows] = labels
        self._known[rows] = True

    def labels_at(self, rows: Tensor) -> Tensor:
        """Labels of these rows, read if no pass has met them yet."""
        if self.given.labels is None:
            return torch.empty(len(rows), 0)
        missing = rows[~self._known[rows]].unique()
        for few in missing.split(256):
            if len(few):
                self.read(few)
        assert self._labels is not None
        return self._labels[rows]


class Labels:
    """Labels of a part, looked up as in a tensor."""

    def __init__(self, part: Rows) -> None:
        self.part = part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        return self.part.labels_at(torch.arange(len(self.part))[rows])

    def index_select(self, axis: int, rows: Tensor) -> Tensor:
        """As of a tensor."""
        return self.part.labels_at(rows)


def rows_of(label: str, loader: Any, networks: Sequence[nn.Module]) -> Rows:
    """The examples of a loader or a data set, read by rows where it has any."""
    weights = (x for network in networks for x in network.parameters())
    dtype = next((x.dtype for x in weights if x.is_floating_point()), None)
    items = loader.dataset if isinstance(loader, DataLoader) else loader
    by_rows = (
        isinstance(items, Dataset)
        and not isinstance(items, IterableDataset)
        and hasattr(items, "__len__")
    )
    if not by_rows:
        return _kept(label, loader, networks, dtype)
    rows, collate = _chosen(label, loader, items), default_collate
    if isinstance(loader, DataLoader) and loader.batch_size is not None:
        collate = loader.collate_fn
    if not len(rows):
        raise DataError(f"{label}: there are no examples")

    def batch_of(chosen: Tensor) -> Any:
        numbers = rows[chosen].tolist()
        if hasattr(items, "__getitems__"):
            several = items.__getitems__(numbers)
        else:
            several = [items[number] for number in numbers]
        return _collated(label, collate, several)

    how = given(batch_of(torch.arange(min(_LOOK, len(rows)))), networks)
    return Rows(label, lambda chosen: how.read(batch_of(chosen)), len(rows), how, dtype)


def _collated(label: str, collate: Callable[[Any], Any], several: list[Any]) -> Any:
    """A batch of examples.

    Raises:
        DataError: if they cannot be put together.
    """
    try:
        return collate(several)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{label}: examples do not make a batch ({reason}); give tensors of one shape, or a "
            "DataLoader whose collate_fn puts them together, such as by padding"
        ) from error


def _chosen(label: str, loader: Any, items: Any) -> Tensor:
    """The rows that a loader takes of its data set, in the data set's order unless it chooses."""
    if not isinstance(loader, DataLoader):
        return torch.arange(len(items))
    sampler = loader.sampler
    own = getattr(loader.batch_sampler, "sampler", None)
    if loader.batch_size is None and loader.batch_sampler is not None and own is not sampler:
        return torch.tensor([row for batch in loader.batch_sampler for row in batch])
    if isinstance(sampler, SequentialSampler | RandomSampler) and len(sampler) == len(items):
        return torch.arange(len(items))
    rows = list(sampler)
    if not all(isinstance(row, int) for row in rows):
        raise DataError(f"{label}: its sampler gives {type(rows[0]).__name__}, and no row numbers")
    return torch.tensor(rows)


def _kept(
    label: str, loader: Iterable[Any], networks: Sequence[nn.Module], dtype: torch.dtype | None
) -> Rows:
    """Examples that come in one order only, in memory.

    Raises:
        DataError: if there are none, or they take more than half of the memory that is free.
    """
    how: Given | None = None
    all_inputs, all_labels, size = [], [], 0
    most = _SHARE * free_memory(torch.device("cpu"))
    for batch in loader:
        if how is None:
            how = given(batch, networks)
        inputs, labels = how.read(batch)
        held = [*inputs.parts.values()] if isinstance(inputs, Examples) else [inputs]
        size += sum(x.numel() * x.element_size() for x in held)
        if most and size > most:
            raise DataError(
                f"{label}: examples that come in one order only are kept in memory, and take more "
                f"than {most / 1e6:,.0f} MB; give a Dataset with rows (__getitem__, __len__)"
            )
        all_inputs.append(inputs)
        all_labels += [] if labels is None else [labels]
    if how is None:
        raise DataError(f"{label}: there are no examples")
    padded = there_of(all_inputs[0]) is not None
    inputs = joined_padded(all_inputs) if padded else joined(all_inputs)
    labels = _joined_labels(all_labels) if all_labels else None

    def read(rows: Tensor) -> tuple[Inputs, Tensor | None]:
        return inputs[rows], None if labels is None else labels[rows]

    note = f"{label}: {counted(len(inputs), 'example')} are kept in memory, {size / 1e6:,.1f} MB"
    return Rows(label, read, len(inputs), how, dtype, [note])


def _joined_labels(parts: list[Tensor]) -> Tensor:
    """One behind another; of tokens as wide as the longest sentence."""
    if not by_token(parts[0]):
        return torch.cat(parts)
    longest = max(one.shape[1] for one in parts)
    missing = [(0, longest - one.shape[1]) for one in parts]
    padded = zip(parts, missing, strict=True)
    return torch.cat([functional.pad(one, more, value=NOT_ASKED) for one, more in padded])


def _channels_first(inputs: Inputs) -> Inputs:
    """Images of 0 to 255 whose channels come last, turned."""
    if not is_raw(inputs) or not isinstance(inputs, Tensor):
        return inputs
    last = inputs.shape[1] not in (1, 3) and inputs.shape[3] in (1, 3)
    return inputs.permute(0, 3, 1, 2).contiguous() if last else inputs
