"""Where all printing goes: a reader that goes away ends no run and decides nothing that is kept.

`| head -1`, a `less` that is quit, a `tee` that dies, a full disk behind `>`: no more is shown.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Printed:
    """A stream that takes whatever is written, and knows why it could not be passed on."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lost: Exception | None = None  # why nothing is passed on any more

    def write(self, text: str) -> int:
        """Pass it on; letters that the stream's encoding has not are spelled."""
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            coding = self.stream.encoding or "ascii"
            self.write(text.encode(coding, "backslashreplace").decode(coding))
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Pass on what is kept back."""
        try:
            self.stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def _lose(self, error: Exception) -> None:
        self.lost = self.lost or error
        # What is kept back would fail once more, when Python ends. (A stream may have no number.)
        with suppress(OSError, ValueError, AttributeError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)


@contextmanager
def printing() -> Iterator[Printed]:
    """In the block nothing that is printed can fail, to stdout (which is returned) or stderr."""
    before = sys.stdout, sys.stderr
    if isinstance(before[0], Printed):
        yield before[0]
        return
    told = threading.excepthook

    def tell(error: threading.ExceptHookArgs) -> None:
        """TensorBoard's thread gives its error, as of a full disk, to the run, which says it."""
        if not issubclass(error.exc_type, OSError):
            told(error)

    fill_standard_numbers()
    with open(os.devnull, "w") as nowhere:  # where a stream was closed from the start
        out, err = (Printed(stream or nowhere) for stream in before)
        if before[0] is None:
            out.lost = OSError("closed")
        sys.stdout, sys.stderr = out, err
        threading.excepthook = tell
        try:
            yield out
        finally:
            out.flush()
            err.flush()
            sys.stdout, sys.stderr = before
            threading.excepthook = told


def fill_standard_numbers() -> None:
    """Where 0, 1 or 2 was closed from the start, the next file would get that number.

    A library that prints from C would print into it, and a further process take it for its input.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # which then stays open
        os.set_inheritable(number, True)
    os.close(number)
