"""Batches out of images: which examples, in what order, shared out over processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import torch
import torch.distributed
from torch import Tensor

from frankenstein.data.seeded import seeded
from frankenstein.errors import DataError

_CHOICE = 2  # likewise, see _ORDER
_ORDER = 0  # keeps these draws apart from those of other purposes with the same seed
Order = Callable[[int], Sequence[Tensor]]  # epoch -> the row numbers of each batch


class Images(Protocol):
    """Images that are read when they are asked for, (N, C, H, W) as uint8."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Tensor | slice) -> Tensor: ...


class Batches:
    """A loader of (images, labels): one index_select per batch, no worker, no global randomness.

    Images that are not in memory are read one batch ahead, in another thread.

    A plain iterable, because torch's DataLoader draws from the global generator whenever it is
    iterated: a validation loop would then change the training that follows. Several processes see
    together what one would see: each has every K-th of all examples, and its part of every batch.

    Raises:
        DataError: while iterating, if a batch has fewer examples than there are processes.
    """

    batch_sampler = None  # Lightning expects one, if only this, of whatever has a `sampler`

    def __init__(
        self,
        images: Tensor | Images,  # (N, ...)
        labels: Tensor,  # (N,) or (N, L)
        order: Order,
        transform: Callable[[Tensor], Tensor] | None = None,  # of a batch of images
    ) -> None:
        self.images, self.labels = images, labels
        self.order, self.transform = order, transform
        # What a Trainer does with a batch that comes as it is; None if nothing is left to do.
        self.left_to_do: Callable[[Tensor], Tensor] | None = None
        self.epoch = 0
        self._length = len(order(0))
        self._first = self._next = 0

    def __len__(self) -> int:
        return self._length

    @property
    def examples(self) -> int:
        """How many there are in an epoch, on all processes together."""
        return sum(map(len, self.order(0)))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # Read only when the first batch is asked for: Lightning makes iterators it may not use.
        first, self._first = self._first, 0
        read = self._read(first)
        in_memory = isinstance(self.images, Tensor)
        for number, (images, labels) in enumerate(read if in_memory else prefetch(read), first):
            self._next = number + 1
            yield self.transform(images) if self.transform else images, labels

    @property
    def sampler(self) -> "Batches":
        """Where Lightning looks for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows; Lightning calls it."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """The next batch of this epoch, so that a run saved within an epoch resumes there."""
        return {"next_batch": self._next}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next iteration, and only that one, begin where the state was taken."""
        self._first = state_dict["next_batch"] % len(self)

    def _read(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        rank, world_size = _rank_and_world_size()
        order = self.order(self.epoch)
        start = sum(map(len, order[:first]))
        for rows in order[first:]:
            if len(rows) < world_size:
                raise DataError(
                    f"a batch of {len(rows)} images cannot be split over {world_size} processes; "
                    "choose a larger batch size or fewer processes"
                )
            mine = slice((rank - start) % world_size, None, world_size)
            start += len(rows)
            rows, images = rows[mine], self.images
            chosen = images.index_select(0, rows) if isinstance(images, Tensor) else images[rows]
            yield chosen, self.labels.index_select(0, rows)


def shuffled(num_examples: int, batch_size: int, order_seed: int) -> Order:
    """Whole batches in an order that (order_seed, epoch) alone decides; the tail is dropped.

    Raises:
        DataError: if there are fewer examples than one batch holds.

    >>> [rows.tolist() for rows in shuffled(5, 2, order_seed=0)(0)]
    [[1, 3], [0, 4]]
    """
    if num_examples < batch_size:
        raise DataError(
            f"{num_examples} training images do not fill one batch of {batch_size}; "
            f"choose a batch size of at most {num_examples}"
        )
    whole = num_examples - num_examples % batch_size

    def order(epoch: int) -> Sequence[Tensor]:
        generator = seeded(order_seed, _ORDER, epoch)
        return torch.randperm(num_examples, generator=generator)[:whole].split(batch_size)

    return order


def in_order(num_examples: int, batch_size: int, chosen: int | None = None, draw: int = 0) -> Order:
    """Every example once, first to last, in as few batches as can be, of almost equal sizes.

    Almost equal, because a last batch of one example leaves nothing for a second process. With
    `chosen`, so many of them: at random, since data may lie class by class, and always the same
    ones for a `draw`.

    >>> [rows.tolist() for rows in in_order(5, 4)(0)]
    [[0, 1, 2], [3, 4]]
    """
    rows = torch.arange(num_examples)
    if chosen is not None and chosen < num_examples:
        order = torch.randperm(num_examples, generator=seeded(_CHOICE, draw))
        rows = order[: max(chosen, 1)].sort().values
    batches = rows.tensor_split(-(-len(rows) // batch_size))
    return lambda epoch: batches


def mixed(num_examples: int, batch_size: int, chosen: int | None = None) -> Order:
    """As `in_order`, but in one random order: where what is measured of successive examples counts.

    >>> [rows.tolist() for rows in mixed(5, 4)(0)]
    [[4, 1, 0], [3, 2]]
    """
    order = torch.randperm(num_examples, generator=seeded(_CHOICE))[:chosen]
    batches = order.tensor_split(-(-len(order) // batch_size))
    return lambda epoch: batches


def _rank_and_world_size() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


T = TypeVar("T")
_END = object()


def prefetch(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made in another thread while the one before it is used.

    >>> list(prefetch(iter("abc")))
    ['a', 'b', 'c']
    """
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = worker.submit(next, items, _END)
            yield item  # type: ignore[misc]
