"""1,797 handwritten digits of 8x8 pixels, those that scikit-learn has: real, and no download."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frankenstein.data.augment import random_affine
from frankenstein.data.images import ImageData

# scikit-learn's, as `train_test_split` stratifies them into 1,437 and 360; pixels are 0 to 16.
# They lie here because importing scikit-learn takes longer than reading them.
_FILE = Path(__file__).with_name("digits.npz")


class Digits(ImageData):
    """1,437 digits to train with and 360 held out, always the same ones.

    Source: Alpaydin & Kaynak 1998, https://archive.ics.uci.edu/dataset/80, licence CC BY 4.0.
    """

    name = "digits"
    classes = tuple("0123456789")
    num_classes = len(classes)
    in_channels = 1
    native_size = 8
    mean, std = (0.3054,), (0.3760,)  # of the training part
    augment = staticmethod(random_affine)

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        """Pixels come as 0 to 16 and leave as 0 to 255."""
        with np.load(_FILE) as digits:
            images, labels = digits[f"{split}_images"], digits[f"{split}_labels"]
        pixels = np.rint(images * (255 / 16)).astype(np.uint8)
        return torch.from_numpy(pixels)[:, None], torch.from_numpy(labels).long()
