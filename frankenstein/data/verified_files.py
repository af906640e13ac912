"""Which files were read and found undamaged, so that each is read for that only once."""

import os
from contextlib import suppress
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np

from frankenstein.files import FileError, read_sealed, write_sealed

ABSENT = 0  # the mark of a file that is not there


def mark_of(folder: Path, name: str) -> int:
    """A number that changes with a file's name, size and date; `ABSENT` if it cannot be seen."""
    try:
        facts = os.stat(os.path.join(folder, name))
    except OSError:
        return ABSENT
    what = f"{facts.st_size} {facts.st_mtime_ns} ".encode() + os.fsencode(name)
    return int.from_bytes(blake2b(what, digest_size=8).digest())


def remembered(folder: Path) -> np.ndarray:  # (K,), uint64
    """The marks of the verified files of a folder; none if nothing is remembered of it."""
    try:
        return np.frombuffer(read_sealed(_memory(folder)), np.uint64)
    except (FileError, OSError):
        return np.empty(0, np.uint64)


def remember(folder: Path, marks: np.ndarray) -> None:
    """Keep the marks of verified files; where nothing can be written, they are read again."""
    with suppress(FileError, OSError):
        _memory(folder).parent.mkdir(parents=True, exist_ok=True)
        write_sealed(_memory(folder), marks.astype(np.uint64).tobytes())


def _memory(folder: Path) -> Path:
    """In the user's cache: data sets are often read-only, and results are moved and deleted."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    ours = os.environ.get("FRANKENSTEIN_CACHE") or os.path.join(caches, "frankenstein")
    return Path(ours) / f"{sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.whole"
