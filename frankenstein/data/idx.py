"""MNIST and Fashion-MNIST, read straight from their archives, which nothing unpacks."""

import gzip
import hashlib
import math
import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import ClassVar

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import download_url

from frankenstein.data.augment import random_affine
from frankenstein.data.images import ImageData
from frankenstein.errors import DataError

_LARGEST = 200_000_000  # bytes: four times what MNIST has


class IdxImages(ImageData):
    """A data set of 28x28 grey images whose four archives torchvision knows where to get."""

    source: type[torchvision.datasets.MNIST]
    unpacked: ClassVar[Mapping[str, int]] = {  # bytes of the four files once they are unpacked
        "train-images-idx3-ubyte": 47_040_016,
        "train-labels-idx1-ubyte": 60_008,
        "t10k-images-idx3-ubyte": 7_840_016,
        "t10k-labels-idx1-ubyte": 10_008,
    }
    published: Sequence[str]  # md5 of these, in this order
    in_channels = 1
    native_size = 28
    mean, std = (0.1307,), (0.3081,)  # MNIST's
    augment = staticmethod(random_affine)

    def prepare_data(self) -> None:
        """Download the archives that are absent.

        Raises:
            DataError: if one is absent and cannot be downloaded.
        """
        absent = {
            name: md5
            for name, md5 in self.source.resources
            if not _locate(self._raw, name).is_file()
        }
        try:
            for name, md5 in absent.items():
                _download(self.source.mirrors, self._raw, name, md5)
        except OSError as error:
            raise DataError(
                f"{self.name}: no {', '.join(absent)} in {self._raw}, and no download "
                f"({' '.join(str(error).split())}); place the archives there, or say "
                f"‹data_root› FOLDER for a folder that holds {self.source.__name__}/raw"
            ) from None

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        """The images and labels in the two files of this part."""
        part = {"train": "train", "test": "t10k"}[split]
        images = self._read(f"{part}-images-idx3-ubyte", axes=3)
        labels = self._read(f"{part}-labels-idx1-ubyte", axes=1)
        return images[:, None], labels.long()

    def _read(self, name: str, axes: int) -> Tensor:
        path = _locate(self._raw, f"{name}.gz")
        if path.suffix != ".gz" and path.stat().st_size == self.unpacked[name]:
            published = dict(zip(self.unpacked, self.published, strict=True))[name]
            if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != published:
                raise DataError(
                    f"{path} is not the file that was published as {self.name}: is it damaged? "
                    "Delete it and get it anew, or, if it differs on purpose, pack it with gzip: "
                    "an archive has a checksum of its own"
                )
        return read_idx(path, axes)

    @property
    def _raw(self) -> Path:
        return self.data_root / self.source.__name__ / "raw"


def read_idx(path: Path, axes: int) -> Tensor:
    """The uint8 tensor in an idx file, packed (.gz) or not.

    Format: http://yann.lecun.com/exdb/mnist: a type byte (8: uint8) and the number of axes, the
    sizes as 32-bit big-endian integers, the bytes.

    Raises:
        DataError: if the file is damaged, cut short or holds something else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_LARGEST + 1)  # a packed file of zeros may hold gigabytes
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read ({error}); if it is damaged, delete it and get it anew"
        ) from None
    start = 4 * (1 + axes)
    shape = [int.from_bytes(content[at : at + 4]) for at in range(4, start, 4)]
    if content[:4] != bytes([0, 0, 8, axes]) or len(content) != start + math.prod(shape):
        raise DataError(
            f"{path} is damaged: {len(content)} bytes that are not an idx file of {axes} axes; "
            "delete it and get it anew"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:].view(shape)


def _locate(folder: Path, archive: str) -> Path:
    """The archive, unless only the file that was unpacked from it is there."""
    unpacked = folder / archive.removesuffix(".gz")
    packed = folder / archive
    return unpacked if unpacked.is_file() and not packed.is_file() else packed


def _download(mirrors: list[str], folder: Path, name: str, md5: str) -> None:
    """One archive from the first mirror that has it; whole, or not there at all."""
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[str] = []
    for mirror in mirrors:
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            try:
                download_url(f"{mirror}{name}", temporary, name, md5)
            except (OSError, RuntimeError, HTTPException) as error:
                failures.append(f"{mirror}: {error}")
            else:
                os.replace(Path(temporary) / name, folder / name)
                return
    raise OSError("; ".join(failures))


class MNIST(IdxImages):
    """60,000 digits to train with and 10,000 held out.

    Source: LeCun et al. 1998, http://yann.lecun.com/exdb/mnist.
    """

    name = "MNIST"
    source = torchvision.datasets.MNIST
    published = (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    )
    classes = tuple("0123456789")
    num_classes = len(classes)


class Fashion(IdxImages):
    """60,000 pieces of clothing to train with and 10,000 held out.

    Normalised with MNIST's numbers, as Dr. Frankenstein does; its own are 0.286 and 0.353.

    Source: Xiao et al. 2017, https://arxiv.org/abs/1708.07747.
    """

    name = "Fashion-MNIST"
    source = torchvision.datasets.FashionMNIST
    published = (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    )
    classes = tuple(torchvision.datasets.FashionMNIST.classes)
    num_classes = len(classes)
