"""Data sets in CIFAR's file format: 60,000 colour photographs of 32x32 pixels."""

import tarfile
from http.client import HTTPException

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from frankenstein.data.augment import random_flip_and_crop
from frankenstein.data.errors import DataError
from frankenstein.data.images import ImageData


class CifarImages(ImageData):
    """A data set whose archive torchvision knows where to get."""

    source: type[torchvision.datasets.CIFAR10]
    in_channels = 3
    native_size = 32
    augment = staticmethod(random_flip_and_crop)

    def prepare_data(self) -> None:
        """Download and unpack the archive unless its files are there, whole.

        Raises:
            DataError: if they are not and there is no download.
        """
        self._open(train=False, download=True)

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        """The images and labels of this part."""
        cifar = self._open(train=split == "train", download=False)
        return torch.from_numpy(cifar.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(
            cifar.targets
        )

    def _open(self, train: bool, download: bool) -> torchvision.datasets.CIFAR10:
        # The files are pickles, which can execute code. torchvision compares every one of them with
        # its published md5 before it opens any, so only the published bytes are ever unpickled.
        source = self.source
        try:
            return source(self.data_root, train=train, download=download)
        except (OSError, EOFError, RuntimeError, HTTPException, tarfile.TarError) as error:
            folder = self.data_root / source.base_folder
            files = [
                *source.train_list,
                *source.test_list,
                [source.meta["filename"], source.meta["md5"]],
            ]
            missing = [name for name, md5 in files if not check_integrity(folder / name, md5)]
            raise DataError(
                f"{self.name}: {', '.join(missing) or 'files'} absent or damaged in {folder}, "
                f"and no download ({' '.join(str(error).split())}); unpack {source.filename} in "
                f"{self.data_root}, or say --data-root FOLDER for a folder that holds {folder.name}"
            ) from None
