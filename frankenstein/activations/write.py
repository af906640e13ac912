"""Write activations as they come, block after block: whole or not at all."""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from frankenstein.activations.formats import FACTS
from frankenstein.errors import FileError
from frankenstein.files import sweep_halves, writing_whole

SUFFIXES = (".safetensors", ".npz", ".npy")
_SPARE = 2**20  # bytes that a disk has left behind it
_NAMES = {"<f4": "F32", "<f8": "F64", "<i8": "I64"}  # of NumPy -> of safetensors
_KEPT = {torch.float64: "<f8", torch.int64: "<i8"}  # as they come; else float32


class Numbers:
    """Where a layer lies among the bytes of all layers, and of what its rows are."""

    def __init__(self, n: int, example: Tensor, offset: int) -> None:
        self.dtype = np.dtype(_KEPT.get(example.dtype, "<f4"))
        self.shape = (n, *example.shape[1:])
        self.start, self.of_row = offset, prod(self.shape[1:]) * self.dtype.itemsize
        self.end = offset + n * self.of_row

    def bytes_of(self, z: Tensor) -> bytes:
        """A block as the file has it."""
        z = z.detach().cpu()
        return (z.double() if z.is_floating_point() else z).numpy().astype(self.dtype).tobytes()


def numbers_of(n: int, example: Mapping[str, Tensor]) -> dict[str, Numbers]:
    """Where n examples of these layers will lie, of which a few are given; one layer by one."""
    placed: dict[str, Numbers] = {}
    end = 0
    for name, z in example.items():
        placed[name] = Numbers(n, z, end)
        end = placed[name].end
    return placed


def write_activations(
    path: str | Path,
    placed: Mapping[str, Numbers],
    blocks: Iterable[Mapping[str, Tensor]],  # of all these layers, n rows together
    facts: Mapping[str, Any],
) -> Path:
    """Write layers as .safetensors, with the facts, or as .npz or .npy, without; returns the path.

    Numbers are float32, or float64 or int64 if they come so; halves are exact. One block at a time
    is in memory.

    Raises:
        FileError: if the suffix is another, the file is there already, .npy is to hold several
            layers, or the disk has no room.
    """
    path, size = Path(path), sum(one.end - one.start for one in placed.values())
    check_place(path, len(placed), size)
    sweep_halves(path)
    with writing_whole(path) as file:
        if path.suffix == ".npz":
            with tempfile.TemporaryFile(dir=path.parent) as raw:
                _fill(raw, placed, blocks)
                _pack(file, raw, placed)
        else:
            head = _safetensors if path.suffix == ".safetensors" else _npy
            file.write(head(placed, facts))
            _fill(file, placed, blocks)
        check_absent(path)  # another may have written it meanwhile
    return path


def check_place(path: Path, layers: int, size: int) -> None:
    """Refuse a file that cannot be written, before anything is computed for it.

    Raises:
        FileError: as `write_activations`.
    """
    if path.suffix not in SUFFIXES:
        raise FileError(f"activations are written as {', '.join(SUFFIXES)}, got {path.name}")
    check_absent(path)
    if path.suffix == ".npy" and layers > 1:
        raise FileError(f"{path.name} holds one array, and there are {layers} layers; take .npz")
    if path.parent.is_dir():
        free, needed = shutil.disk_usage(path.parent).free, size + _SPARE
        needed += size if path.suffix == ".npz" else 0
        if free < needed:
            raise FileError(
                f"cannot write {path}: it takes {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB "
                "are free there; take fewer layers, or another folder"
            )


def check_absent(path: Path) -> None:
    """Refuse to write over a file, or over a link to one that is not there.

    Raises:
        FileError: if it is there.
    """
    if os.path.lexists(path):
        raise FileError(f"{path} is there already; name another file, or delete it")


def _fill(
    file: BinaryIO, placed: Mapping[str, Numbers], blocks: Iterable[Mapping[str, Tensor]]
) -> None:
    """Put every block at its place behind what is written already."""
    start, done = file.tell(), 0
    for block in blocks:
        for name, one in placed.items():
            file.seek(start + one.start + done * one.of_row)
            file.write(one.bytes_of(block[name]))
        done += len(next(iter(block.values())))
    (n,) = {one.shape[0] for one in placed.values()}
    if done != n:
        raise FileError(f"{n} examples were to be written, and {done} came")


def _safetensors(placed: Mapping[str, Numbers], facts: Mapping[str, Any]) -> bytes:
    head: dict[str, Any] = {"__metadata__": {FACTS: json.dumps(facts)}}
    for name, one in placed.items():
        offsets = [one.start, one.end]
        dtype = _NAMES[one.dtype.str]
        head[name] = {"dtype": dtype, "shape": list(one.shape), "data_offsets": offsets}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _npy(placed: Mapping[str, Numbers], facts: Mapping[str, Any]) -> bytes:
    (one,) = placed.values()
    with tempfile.SpooledTemporaryFile() as file:
        header = {"descr": one.dtype.str, "fortran_order": False, "shape": one.shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.seek(0)
        return file.read()


def _pack(file: BinaryIO, raw: BinaryIO, placed: Mapping[str, Numbers]) -> None:
    """What lies one layer by one as members of an archive, which is not compressed."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, one in placed.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(_npy({name: one}, {}))
                raw.seek(one.start)
                left = one.end - one.start
                while left:
                    part = raw.read(min(left, 2**24))
                    member.write(part)
                    left -= len(part)
