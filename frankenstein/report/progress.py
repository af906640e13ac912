"""Progress bars: how far a long work is, and the time left."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")
_ROOM = 36  # for what is done and its numbers: the rest fits into 80 columns with these


def progress(batches: Iterable[T], name: str, quiet: bool) -> Iterator[T]:
    """The same batches, with a bar that shows how many are left unless quiet."""
    if quiet:
        yield from batches
        return
    with progress_bar() as bar:
        task = bar.add_task(name, total=len(batches), numbers="")  # type: ignore[arg-type]
        for batch in batches:
            yield batch
            bar.advance(task)


def progress_bar() -> Progress:
    """The bar of every long work: what, how far, and the time left."""
    return Progress(
        _What("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        refresh_per_second=4,  # drawing takes 2 ms, which training on a CPU waits for
        transient=sys.stdout.isatty(),  # a terminal has room for what was found; a log keeps it
    )


class _What(TextColumn):
    """What is done; the middle is left out where it is long, for both ends tell more."""

    def render(self, task: Task) -> Text:
        text, room = task.description, max(9, _ROOM - len(task.fields["numbers"]))
        half = room // 2
        return Text(text if len(text) <= room else f"{text[:half]}…{text[half + 1 - room :]}")
