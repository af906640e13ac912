"""What data sets of image files share: too many to hold, each batch is decoded when it is due."""

import torch
from torch import Tensor

from frankenstein.data.augment import centre_crop, random_crop_and_flip
from frankenstein.data.images import ImageData
from frankenstein.data.preprocessing import IMAGENET


class Photographs(ImageData):
    """A data set of colour image files of any size; `load` gives ImageFiles and labels.

    Files are read as squares of `resize` pixels. Training sees random windows of `image_size`
    pixels of these, half of them mirrored; everything else sees their centres.
    """

    in_channels = 3
    native_size = IMAGENET.crop
    mean, std = IMAGENET.mean, IMAGENET.std

    @property
    def resize(self) -> int:
        """Pixels of the squares that files are read as: 256 for images of 224."""
        return (self.preprocessing or IMAGENET).resize_for(self.image_size)

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Random windows, half of them mirrored."""
        return random_crop_and_flip(images, self.image_size, generator)

    def prepare(self, images: Tensor) -> Tensor:
        """The centre, unless it is all that is left, normalised."""
        return super().prepare(centre_crop(images, self.image_size))
