"""What torch pickled, looked at before it is unpickled: may it take more memory than its file?

Unpickled with `weights_only` it executes nothing, but it may still make gigabytes of a few bytes.
"""

import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path

from torch import Tensor

_FILLING = re.compile(rb"c\w+\nbytearray\n")  # makes, and fills, as many bytes as it is told


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive, whole or not: what opens it tells what is wrong with it."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # such as one that says that it lies on several disks
        return True


def check_pickled(path: Path) -> None:
    """Refuse what takes more memory than the file has bytes: archives packed, bytes made by number.

    Raises:
        ValueError: if the file does.
    """
    if not is_archive(path):
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            found = _FILLING.search(content) is not None  # it holds the file, and keeps nothing
    else:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if packed := [one.filename for one in members if one.compress_type]:
                raise ValueError(f"{packed[0]} is compressed, as torch.save compresses nothing")
            if sum(one.file_size for one in members) > path.stat().st_size:
                raise ValueError("its parts are larger than the file")
            names = [one.filename for one in members if one.filename.endswith(".pkl")]
            found = any(_FILLING.search(archive.read(name)) for name in names)
    if found:
        raise ValueError("it makes bytes, not tensors")


def pickled_words(path: Path) -> Iterator[str]:
    """The words in an archive of torch, such as names of tensors; nothing is unpickled."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".pkl"):
                every = pickletools.genops(archive.read(name))
                yield from (word for _, word, _ in every if isinstance(word, str))


def check_stored(path: Path, tensors: Iterable[Tensor]) -> None:
    """Refuse tensors of more bytes than their file: one number that stands for a whole matrix.

    Raises:
        ValueError: if there is one.
    """
    most = path.stat().st_size
    for tensor in tensors:
        if tensor.is_meta or tensor.numel() * tensor.element_size() > most:
            raise ValueError(f"a tensor of {tuple(tensor.shape)} is larger than the file")
