"""One data set for several networks that see in other ways: raw until each has looked at it."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.augment import centre_crop
from frankenstein.data.files import SeveralViews
from frankenstein.data.images import ImageData, Photographs, normalised, recoloured, resized
from frankenstein.data.preprocessing import Preprocessing
from frankenstein.errors import DataError


class SharedImages(ImageData):
    """The images of a data set as several networks see them; each file is read and decoded once.

    Batches are raw, uint8: images in memory in their own size, photographs in all sizes that are
    asked for, one after another in a row. `look` makes of them what a network takes, to the last
    bit what the data set makes for that network alone.

        data = SharedImages([Digits(image_size=28), Digits(image_size=32)])
        images = data.look(28, None)(raw)

    Training images are changed at random before networks look at them. Photographs in several sizes
    cannot be: `augments` is then False.
    """

    def __init__(
        self,
        parts: Sequence[ImageData],  # the same data set with other eyes each; not loaded yet
    ) -> None:
        first: Any = parts[0]
        if any(type(one).prepare not in (ImageData.prepare, Photographs.prepare) for one in parts):
            raise DataError(
                f"{first.name} prepares images in a way of its own, which networks that see in "
                "other ways cannot share; take networks that see alike"
            )
        vars(self).update(vars(first))
        self.parts = list(parts)
        for fact in ("name", "classes", "num_classes", "in_channels", "multilabel"):
            setattr(self, fact, getattr(first, fact))
        self._in_files = isinstance(first, Photographs)
        self.eyes_for = first.eyes_for  # type: ignore[method-assign]
        # Of photographs those that are read in the same way share a view.
        ways = {_way(one.eyes): one for one in parts}
        self._views = list(ways.values()) if self._in_files else parts[:1]
        self.augments = len(self._views) == 1
        sizes = {(one.image_size, one.eyes.resampling) for one in parts}
        # Images in memory come in their own size, unless all networks want the same one.
        self._side = first.image_size if len(sizes) == 1 else max(one.native_size for one in parts)

    def setup(self) -> None:
        """Load both parts, once."""
        if hasattr(self, "val_labels"):
            return
        if not self._in_files:
            own = copy.copy(max(self.parts, key=lambda one: one.native_size))
            own.image_size = self._side
            self._views = [own]
        for view in self._views:
            view.setup()
        first = self._views[0]
        self.train_labels, self.val_labels = first.train_labels, first.val_labels
        self.train_images, self.val_images = (
            getattr(first, name)
            if self.augments
            else SeveralViews([getattr(view, name) for view in self._views])
            for name in ("train_images", "val_images")
        )
        if not self._in_files and not isinstance(self.train_images, Tensor):
            raise DataError(
                f"{self.name} reads its images in a way of its own, which networks that see in "
                "other ways cannot share; take networks that see alike"
            )

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """As the data set does, before networks look at it.

        Raises:
            DataError: of photographs in several sizes.
        """
        if not self.augments:
            raise DataError(
                f"{self.name} is read in {len(self._views)} sizes for these networks, and cannot "
                "be changed at random in all alike; say ‹augment›"
            )
        return self._views[0].augment(images, generator)

    @property
    def changes(self) -> bool:
        """As the data set does."""
        return self._views[0].changes

    def prepare(self, images: Tensor) -> Tensor:
        """Nothing: each network prepares for itself."""
        return images

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Of one raw example."""
        sides = [view.eyes.resize if self._in_files else self._side for view in self._views]
        shape = (self.in_channels, sides[0], sides[0])
        return shape if self.augments else (sum(self.in_channels * side**2 for side in sides),)

    def look(
        self, image_size: int, preprocessing: Preprocessing | None, channels: int | None = None
    ) -> nn.Module | None:
        """From raw batches to what a network that takes such images takes.

        Raises:
            DataError: if it is not shared by such a network.
        """
        eyes = self.eyes_for(image_size, preprocessing, channels)
        if eyes not in [one.eyes for one in self.parts]:
            raise DataError(f"{self.name} is not shared by a network that sees {eyes}")
        start, columns = 0, None
        for view in self._views if not self.augments else ():
            size = self.in_channels * view.eyes.resize**2
            if _way(view.eyes) == _way(eyes):
                columns = slice(start, start + size)
            start += size
        return Look(eyes, self.in_channels, columns, resizes=not self._in_files)

    def pictures(self, images: Tensor) -> Tensor:
        """Images for a person to look at: of photographs the first view."""
        if self.augments:
            return images
        side = self._views[0].eyes.resize
        return images[:, : self.in_channels * side**2].unflatten(1, (self.in_channels, side, side))


class Look(nn.Module):
    """From raw images to what a network sees; it has no weights, and no data."""

    def __init__(
        self,
        eyes: Preprocessing,
        channels: int,
        columns: slice | None,  # where its view lies in a row of several; None if rows are images
        resizes: bool,  # whether images come in another size
    ) -> None:
        super().__init__()
        self.eyes, self.channels, self.columns, self.resizes = eyes, channels, columns, resizes

    def forward(
        self,
        images: Tensor,  # (N, C, H, W) or (N, K), between 0 and 255
    ) -> Tensor:  # (N, C, size, size)
        """The view, its centre, normalised."""
        eyes = self.eyes
        if self.columns is not None:
            shape = (self.channels, eyes.resize, eyes.resize)
            images = images[:, self.columns].unflatten(1, shape)
        if self.resizes:
            images = resized(images, eyes.crop, eyes.resampling)
        images = recoloured(centre_crop(images, eyes.crop), len(eyes.mean))
        return normalised(images, eyes.mean, eyes.std)


def _way(eyes: Preprocessing) -> tuple[Any, ...]:
    """How a file is read, whatever its pixels become."""
    return eyes.resize, eyes.crop, eyes.resampling, eyes.squash
