"""Files of activations: what kind each is, and the layers in it. Nothing in them is executed."""

import json
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import safetensors
import torch
from torch import Tensor

from frankenstein.activations.layer import HELD, Layer, held, mapped, no_numbers, of_numpy
from frankenstein.errors import FileError
from frankenstein.pickles import check_pickled, check_stored, is_archive, pickled_words
from frankenstein.records import json_record

FACTS = "activations"  # under which `extract` writes what it knows of a safetensors file

_SUFFIXES = {".npy": "npy", ".npz": "npz", ".h5": "h5", ".hdf5": "h5"}  # of what is damaged
_NAMES = {  # of safetensors -> of NumPy
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # NumPy has no such numbers
    "BOOL": "?",
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}
# Tensors of PyTorch's own modules, which a file of activations does not have.
_OF_WEIGHTS = re.compile(r"(^|[._])(weight|bias|running_(mean|var)|num_batches_tracked)$")


@dataclass(frozen=True)
class Contents:
    """What a file holds."""

    layers: Mapping[str, Layer]
    others: Mapping[str, str] = field(default_factory=dict)  # what is no layer -> why
    facts: Mapping[str, Any] = field(default_factory=dict)  # that `extract` wrote


class NoActivations(FileError):  # noqa: N818 - nothing is wrong with it
    """A file of something else, such as the weights of a network."""


def contents_of(path: Path) -> Contents:
    """The layers in a file; its numbers are not read yet.

    Raises:
        NoActivations: if it holds the weights of a network, or is no file of tensors at all.
        FileError: if it is absent or damaged.
    """
    if path.is_dir():
        raise FileError(f"{path} is a folder, and a file of activations is wanted")
    if not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    kind = _kind(path)
    if kind is None:
        raise NoActivations(
            f"{path} holds no activations: it is neither .npy, .npz, .safetensors, .pt nor .h5"
        )
    try:
        return _READERS[kind](path)
    except FileError:
        raise
    except Exception as error:  # damage can do anything to a reader
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileError(f"{path} is damaged, or no whole {kind} file: {reason}") from None


def _kind(path: Path) -> str | None:
    """What is in a file counts, whatever its name says."""
    with path.open("rb") as file:
        head = file.read(40)
    if head.startswith(b"version https://git-lfs"):
        raise FileError(
            f"{path} is a pointer of git-LFS, not the file itself; get it by `git lfs pull`"
        )
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head.startswith(b"\x89HDF\r\n"):
        return "h5"
    if is_archive(path):
        return "pt" if _holds_pickle(path) else "npz"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _LONGEST:
        return "safetensors"  # the first byte is of a length, and may be a pickle's, too
    if head[:1] == b"\x80":
        return "pt"
    return _SUFFIXES.get(path.suffix)


def _holds_pickle(path: Path) -> bool:
    """Whether an archive is one of torch; a damaged one is told by who reads it."""
    with suppress(Exception), zipfile.ZipFile(path) as archive:
        return any(name.endswith("data.pkl") for name in archive.namelist())
    return False


def _npy(path: Path) -> Contents:
    with path.open("rb") as file:
        return _sorted({path.stem: _array(path, file, path.stat().st_size)})


def _npz(path: Path) -> Contents:
    found: dict[str, Layer | str] = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
        if len(members) < len(archive.infolist()):
            raise ValueError("two of its members have one name")
        for name, member in members.items():  # before any is unpacked
            if member.compress_type != zipfile.ZIP_STORED and member.file_size > HELD:
                raise FileError(
                    f"{name!r} in {path} is compressed, and {member.file_size / 1e9:,.1f} GB when "
                    "it is not: no block of it can be read; save it by numpy.savez, or as .npy"
                )
        _check_sums(archive)
        for name, member in members.items():
            if member.compress_type == zipfile.ZIP_STORED:
                file.seek(member.header_offset + 26)  # of the lengths of a name and of more
                file.seek(sum(np.frombuffer(file.read(4), "<u2").tolist()), 1)
                found[name] = _array(path, file, file.tell() + member.file_size)
            else:
                with archive.open(member) as packed:
                    found[name] = _unpacked(packed, member.file_size)
    return _sorted(found)


def _unpacked(packed: IO[bytes], size: int) -> Layer | str:
    """The array in a compressed member of so many bytes; its header is compared with them first."""
    shape, by_column, dtype = _header(packed)
    if reason := no_numbers(dtype):
        return reason
    numbers = (size - packed.tell()) // dtype.itemsize
    if prod(shape) != numbers or min(shape, default=0) < 0:
        raise ValueError(f"it says that it has {shape} numbers, and holds {numbers:,}")
    array = np.frombuffer(packed.read(), dtype)
    return held(of_numpy(array.reshape(shape, order="F" if by_column else "C")))


def _array(path: Path, file: BinaryIO, end: int) -> Layer | str:
    """The array of NumPy's own format that begins where the file stands, and ends before `end`."""
    shape, by_column, dtype = _header(file)
    if reason := no_numbers(dtype):
        return reason
    offset, size = file.tell(), prod(shape) * dtype.itemsize
    if offset + size > end or min(shape, default=0) < 0:
        raise ValueError(f"it says that it has {shape} numbers, and ends before the last")
    if not by_column or len(shape) < 2:
        return mapped(path, dtype, shape, offset)
    if size > HELD:
        raise FileError(
            f"{path} holds an array that lies column by column ({size / 1e9:,.1f} GB): no block of "
            "rows can be read of it; save numpy.ascontiguousarray of it"
        )
    array = np.memmap(path, dtype, "r", offset, shape, "F")
    return held(of_numpy(np.ascontiguousarray(array)))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it lies column by column, and type: what stands before an array's numbers."""
    if np.lib.format.read_magic(file) == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


def _safetensors(path: Path) -> Contents:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        head = json.loads(file.read(min(length, _LONGEST)))
    records = head.pop("__metadata__", {})
    if FACTS not in records:
        _refuse_weights(path, head)  # before it is opened: who opens the network does that
    with safetensors.safe_open(path, framework="pt"):  # checks offsets and sizes
        pass
    found: dict[str, Layer | str] = {}
    for name, one in head.items():
        dtype, offset = one["dtype"], 8 + length + one["data_offsets"][0]
        if dtype in _NAMES:
            shape = tuple(one["shape"])
            found[name] = mapped(path, np.dtype(_NAMES[dtype]), shape, offset, dtype == "BF16")
        else:
            found[name] = f"holds {dtype}, not real numbers"
    facts = records.get(FACTS)
    told = {} if facts is None else json_record(facts.encode(), f"the record in {path}")
    return _sorted(found, told)


def _pt(path: Path) -> Contents:
    check_pickled(path)
    archived = is_archive(path)
    if archived:
        _refuse_weights(path, dict.fromkeys(pickled_words(path)))  # before it is opened, likewise
    tensors = _unpickled(path, archived)
    check_stored(path, tensors.values())
    _refuse_weights(path, tensors)
    if archived:
        with zipfile.ZipFile(path) as archive:
            _check_sums(archive)
    found: dict[str, Layer | str] = {}
    for name, z in tensors.items():
        if z.is_complex() or z.is_quantized or z.layout != torch.strided:
            found[name] = f"is {z.layout} of {z.dtype}, not real numbers".replace("torch.", "")
        elif not archived:
            found[name] = held(z)
        else:
            found[name] = Layer(tuple(z.shape), _again(path, name))
    return _sorted(found)


def _again(path: Path, name: str) -> Callable[[Tensor], Tensor]:
    """The reader of a tensor in a file, which is mapped anew for every block, as in `mapped`."""
    return lambda rows: held(_unpickled(path, True)[name]).read(rows)


def _unpickled(path: Path, mmap: bool) -> dict[str, Tensor]:
    """The tensors by name that a file of torch holds; a single one is called as the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch guesses aloud what a strange file may be
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # damage can do anything to a pickle
        found = re.search(r"GLOBAL ([\w.]+) was not an allowed", str(error))
        raise NoActivations(
            f"{path} cannot be read ({type(error).__name__}): it is damaged or holds more than "
            f"tensors{f', {found[1]}' if found else ''}; save {{layer: tensor}}"
        ) from None
    if isinstance(content, Tensor):
        content = {path.stem: content}
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(z, Tensor) for name, z in content.items()
    ):
        raise NoActivations(
            f"{path} holds a {type(content).__name__}, not one tensor or {{layer: tensor}}"
        )
    return {name: z.detach() for name, z in content.items()}


def _h5(path: Path) -> Contents:
    try:
        import h5py
    except ImportError:
        raise FileError(
            f"{path} is HDF5, which takes h5py; pip install 'frankenstein-stitching[h5]'"
        ) from None
    found: dict[str, Layer | str] = {}

    def look(name: str | bytes, one: Any) -> None:
        if isinstance(name, bytes):
            found[name.decode(errors="backslashreplace")] = "has a name that is not UTF-8"
        elif isinstance(one, h5py.Dataset):
            found[name] = _dataset(path, name, one)

    with h5py.File(path, "r") as file:
        file.visititems(look)  # links to other files are not followed
    return _sorted(found)


def _dataset(path: Path, name: str, one: Any) -> Layer | str:
    if one.shape is None or one.is_virtual or one.external:
        return "is empty" if one.shape is None else "lies in other files"
    if reason := no_numbers(one.dtype):
        return reason
    if one.chunks is None and one.id.get_offset() is not None:
        return mapped(path, one.dtype, one.shape, one.id.get_offset())
    if one.size * one.dtype.itemsize <= HELD:
        return held(of_numpy(one[()]))

    def read(rows: Tensor) -> Tensor:
        import h5py

        ordered, places = rows.sort()  # h5py takes rows in their order only
        with h5py.File(path, "r") as file:
            return of_numpy(file[name][ordered.numpy()])[places.argsort()]

    return Layer(one.shape, read)


_DESCRIPTOR = 24  # bytes that may stand behind a member of a zip archive
_LONGEST = 100_000_000  # bytes of a record, as safetensors has it
_READERS: Mapping[str, Callable[[Path], Contents]] = {
    "npy": _npy,
    "npz": _npz,
    "safetensors": _safetensors,
    "pt": _pt,
    "h5": _h5,
}


def _check_sums(archive: zipfile.ZipFile) -> None:
    """Refuse members that are damaged, and bytes that the list of members knows nothing of."""
    if damaged := archive.testzip():
        raise ValueError(f"the checksum of {damaged} does not fit")
    file, end = archive.fp, 0
    assert file is not None  # it is open
    for member in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if member.header_offset - end > _DESCRIPTOR:
            raise ValueError("its list of members has lost one")
        file.seek(member.header_offset + 26)
        lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
        end = member.header_offset + 30 + lengths + member.compress_size
    if archive.start_dir - end > _DESCRIPTOR:
        raise ValueError("its list of members has lost one")


def _refuse_weights(path: Path, names: Mapping[str, Any]) -> None:
    if weights := [name for name in names if _OF_WEIGHTS.search(name)]:
        raise NoActivations(
            f"{path} holds the weights of a network ({', '.join(weights[:2])}, ...), "
            "not activations"
        )


def _sorted(found: Mapping[str, Layer | str], facts: Mapping[str, Any] = {}) -> Contents:
    """Layers, and what is none."""
    every = {
        name: "is a single number" if isinstance(one, Layer) and not one.shape else one
        for name, one in found.items()
    }
    return Contents(
        {name: one for name, one in every.items() if isinstance(one, Layer)},
        {name: one for name, one in every.items() if isinstance(one, str)},
        facts,
    )
