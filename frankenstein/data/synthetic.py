"""Made-up images that can be learned, of any size and number of classes: for benchmarks, tests."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from frankenstein.data.images import ImageData
from frankenstein.data.preprocessing import Preprocessing
from frankenstein.data.seeded import seeded

_PATTERN, _TRAIN, _TEST = 3, 4, 5  # keep these draws apart from those of other purposes


class Synthetic(ImageData):
    """Half a smooth pattern, one for each class, and half noise: always the same images."""

    name = "synthetic"
    classes = tuple(map(str, range(10)))
    num_classes = len(classes)
    in_channels = 3
    native_size = 32
    mean: tuple[float, ...] = (0.5,) * 3
    std: tuple[float, ...] = (0.17,) * 3

    def __init__(
        self,
        image_size: int | None = None,
        batch_size: int = 128,
        order_seed: int = 0,
        data_root: str | Path | None = None,  # as for every data set; not read
        eval_batch_size: int = 250,
        preprocessing: Preprocessing | None = None,
        channels: int | None = None,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        train_size: int = 2048,
        test_size: int = 512,
    ) -> None:
        self.native_size = image_size or self.native_size
        self.classes = tuple(map(str, range(num_classes)))
        self.num_classes, self.in_channels = num_classes, in_channels
        self.mean, self.std = (0.5,) * in_channels, (0.17,) * in_channels
        self.sizes = {"train": train_size, "test": test_size}
        super().__init__(
            image_size,
            batch_size,
            order_seed,
            data_root,
            eval_batch_size,
            preprocessing,
            channels,
        )

    def load(self, split: str) -> tuple[Tensor, Tensor]:
        """Made anew, from seeds of their own."""
        size, channels, count = self.native_size, self.in_channels, self.sizes[split]
        images = torch.empty(count, channels, size, size, dtype=torch.uint8)
        images.random_(128, generator=seeded(_TRAIN if split == "train" else _TEST))
        coarse = torch.rand(self.num_classes, channels, 4, 4, generator=seeded(_PATTERN))
        for label, pattern in enumerate(coarse.mul(128).split(1)):
            smooth = F.interpolate(pattern, size=(size, size), mode="bilinear")
            images[label :: self.num_classes] += smooth.to(torch.uint8)
        return images, torch.arange(count) % self.num_classes
