"""Batches with a progress bar around them."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from frankenstein.callbacks import progress_bar

T = TypeVar("T")


def waiting(batches: Iterable[T], name: str, quiet: bool) -> Iterator[T]:
    """The same batches, with a bar that shows how many are left unless quiet."""
    if quiet:
        yield from batches
        return
    with progress_bar() as bar:
        task = bar.add_task(name, total=len(batches), numbers="")  # type: ignore[arg-type]
        for batch in batches:
            yield batch
            bar.advance(task)
