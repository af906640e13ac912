"""Memory that a batch has used serves the next one, where the C library would give it back."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEPT = 2**31 - 1  # bytes: the most that the first can be told
# What glibc comes to by itself in a process that frees large buffers, and its usual number of maps.
_LARGEST, _MAPS = 2**25, 2**16

_keeping: list[None] = []  # one for everybody who wants it


def keep_buffers() -> None:
    """Let this process keep what it frees, up to 2 GB, rather than map it anew for every batch.

    A CPU pays for every fresh page: without them Tiny-10 took 0.6 of its time over batches of 250
    on one machine. Every command does this; in Python, call it before the first batch.
    Where the C library is not glibc it does nothing.
    """
    _keeping.append(None)
    _tell(_MMAP_MAX, 0)
    _tell(_TRIM_THRESHOLD, _KEPT)


@contextmanager
def kept_buffers() -> Iterator[None]:
    """Inside, `keep_buffers`; at the end what was kept is given back, unless others keep it."""
    keep_buffers()
    try:
        yield
    finally:
        _keeping.pop()
        if not _keeping:
            _tell(_MMAP_MAX, _MAPS)
            _tell(_MMAP_THRESHOLD, _LARGEST)
            _tell(_TRIM_THRESHOLD, 2 * _LARGEST)
            if trim := _of_glibc("malloc_trim"):
                trim(0)


def _tell(what: int, value: int) -> None:
    if mallopt := _of_glibc("mallopt"):
        mallopt(what, value)


def _of_glibc(name: str) -> Callable[..., Any] | None:
    try:
        function: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # macOS, musl; Windows
        return None
    return function
