"""Progress bars: how far a long work is, and the time left."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
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
    """The bar of every long work: what, how far, and the time left; in a log what begins, too."""
    return _Bar(
        _What("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        refresh_per_second=4,  # drawing takes 2 ms, which training on a CPU waits for
        transient=True,  # a terminal has room for what was found
    )


class _Bar(Progress):
    """A bar; in a log, where none can move, a line when the work begins and what it ends with."""

    _told = False

    def add_task(self, description: str, *args: Any, **fields: Any) -> TaskID:
        """One more work; its `total` and `numbers` are among the fields."""
        self._log(f"{description} ({fields['total']:,} steps)")
        return super().add_task(description, *args, **fields)

    def start(self) -> None:
        """Show it, where it can move."""
        if not self._logs:
            super().start()

    def stop(self) -> None:
        """Leave the terminal."""
        for task in self.tasks if not self._told else ():
            if numbers := task.fields["numbers"]:
                self._log(f"{task.description} done: {numbers}")
        self._told = True
        if not self._logs:
            super().stop()

    @property
    def _logs(self) -> bool:
        return not (sys.stdout.isatty() or self.console.is_jupyter)

    def _log(self, line: str) -> None:
        if self._logs and not self.disable:
            sys.stdout.write(f"━ {line}\n")
            sys.stdout.flush()


class _What(TextColumn):
    """What is done; the middle is left out where it is long, for both ends tell more."""

    def render(self, task: Task) -> Text:
        text, room = task.description, max(9, _ROOM - len(task.fields["numbers"]))
        half = room // 2
        return Text(text if len(text) <= room else f"{text[:half]}…{text[half + 1 - room :]}")
