"""CIFAR: 60,000 colour photographs of 32x32 pixels, in 10 or 100 classes."""

import tarfile
from http.client import HTTPException

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from frankenstein.data.augment import random_flip_and_crop
from frankenstein.data.images import ImageData
from frankenstein.errors import DataError


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
                f"{self.data_root}, or say ‹data_root› FOLDER for a folder that holds {folder.name}"
            ) from None


class CIFAR10(CifarImages):
    """50,000 photographs to train with and 10,000 held out.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name = "CIFAR-10"
    source = torchvision.datasets.CIFAR10
    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    )  # fmt: skip
    num_classes = len(classes)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


class CIFAR100(CifarImages):
    """50,000 photographs to train with and 10,000 held out; the classes are the fine ones.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name = "CIFAR-100"
    source = torchvision.datasets.CIFAR100
    classes = (
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
        "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
        "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
        "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
        "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
        "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom",
        "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
        "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
        "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
        "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
        "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle",
        "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    )  # fmt: skip
    num_classes = len(classes)
    mean, std = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)
