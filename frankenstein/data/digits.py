"""The 1,797 handwritten digits of 8x8 pixels that ship inside scikit-learn: real, no download."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from frankenstein.data.augment import random_affine
from frankenstein.data.images import ImageData


class Digits(ImageData):
    """1,437 digits to train with and 360 held out, always the same ones.

    Source: Alpaydin & Kaynak 1998, https://archive.ics.uci.edu/dataset/80.
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
        digits = load_digits()
        train, test = train_test_split(
            np.arange(len(digits.target)), test_size=360, stratify=digits.target, random_state=0
        )
        rows = train if split == "train" else test
        pixels = np.rint(digits.images[rows] * (255 / 16)).astype(np.uint8)
        return torch.from_numpy(pixels)[:, None], torch.from_numpy(digits.target[rows]).long()
