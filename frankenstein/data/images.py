"""What every image data set shares: uint8 images, in memory or read by the batch, then prepared."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from frankenstein.data.augment import centre_crop, random_crop_and_flip
from frankenstein.data.batches import Batches, Images, in_order, mixed, shuffled
from frankenstein.data.files import ImageFiles, Show
from frankenstein.data.preprocessing import IMAGENET, Preprocessing
from frankenstein.errors import DataError, counted


class ImageData:
    """A labelled image data set: a training part and a held-out part.

    A Trainer takes it as `frankenstein.tasks.DataModule(data)`.

    A subclass states the facts below and writes `load`; `augment` and `prepare_data` if it has any.
    """

    name: str  # as in print
    called = "images"  # its examples
    classes: tuple[str, ...]
    num_classes: int
    in_channels: int
    native_size: int  # pixels, height and width
    mean: tuple[float, ...]  # per channel, of images between 0 and 1
    std: tuple[float, ...]
    multilabel = False  # True: each image has or has not each of its "classes"
    labelled = True  # False: nobody can say whether a network is right
    lines: Sequence[str] = ()  # what is to be said of how it is read
    pictured = True  # False: its inputs are no images for a person to look at

    train_images: Tensor | Images  # (N, C, H, W), uint8
    train_labels: Tensor  # (N,), int64; (N, num_classes), float of 0 and 1, if multilabel
    val_images: Tensor | Images
    val_labels: Tensor

    def __init__(
        self,
        image_size: int | None = None,  # None keeps the native size
        batch_size: int = 128,
        order_seed: int = 0,
        data_root: str | Path | None = None,  # None: $FRANKENSTEIN_DATA, or else "data"
        eval_batch_size: int = 250,
        preprocessing: Preprocessing | None = None,  # what trained weights want; None: as stated
        channels: int | None = None,  # of what is seen: 1 or 3; None: as stated
    ) -> None:
        self.preprocessing, self._own = preprocessing, (tuple(self.mean), tuple(self.std))
        self.channels = self.in_channels if channels is None else channels
        self.image_size = self.native_size if image_size is None else image_size
        self.mean, self.std = self.eyes.mean, self.eyes.std
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.order_seed = order_seed
        data_root = data_root or os.environ.get("FRANKENSTEIN_DATA") or "data"
        self.data_root = Path(data_root).expanduser()
        for option in ("image_size", "batch_size", "eval_batch_size"):
            if getattr(self, option) < 1:
                raise DataError(f"{option} must be at least 1, got {getattr(self, option)}")
        if order_seed < 0:
            raise DataError(f"order_seed must not be negative, got {order_seed}")

    @property
    def classed(self) -> bool:
        """Whether every example has one class."""
        return self.labelled and not self.multilabel

    def load(self, split: str) -> tuple[Tensor | Images, Tensor]:
        """Images (N, C, H, W) as uint8 and labels of "train" or "test".

        Labels are (N,) int64; if the data set is multilabel (N, num_classes) float, 0 or 1.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not say how to load its {split} part"
        )

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """The random change of a batch of training images, between 0 and 255; none by default."""
        return images

    @property
    def changes(self) -> bool:
        """Whether `augment` changes anything."""
        return type(self).augment is not ImageData.augment

    def prepare(
        self,
        images: Tensor,  # (N, C, H, W), between 0 and 255
    ) -> Tensor:  # (N, C, H, W), float
        """What a network sees: every channel with about zero mean and unit variance."""
        return normalised(recoloured(images, self.channels), self.mean, self.std)

    def eyes_for(
        self, image_size: int, preprocessing: Preprocessing | None, channels: int | None = None
    ) -> Preprocessing:
        """What its images become, in full, for a network that takes such images.

        Raises:
            DataError: if they cannot become images of that many channels.
        """
        mean, std = (recoloured_numbers(one, channels or self.in_channels) for one in self._own)
        how = Image.Resampling.BILINEAR
        if preprocessing is not None:
            if len(preprocessing.mean) == len(mean):
                mean, std = preprocessing.mean, preprocessing.std
            how = preprocessing.resampling
        return Preprocessing(image_size, image_size, mean, std, how)

    @property
    def num_train(self) -> int:
        """Examples to train on."""
        return len(self.train_labels)

    @property
    def num_val(self) -> int:
        """Held-out examples."""
        return len(self.val_labels)

    @property
    def eyes(self) -> Preprocessing:
        """What its images become, in full."""
        return self.eyes_for(self.image_size, self.preprocessing, self.channels)

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Of one example in the batches of a pass."""
        return self.channels, self.image_size, self.image_size

    def blank(self, count: int = 2) -> Any:
        """Black images, as batches of a pass have them."""
        return torch.zeros(count, *self.seen_shape)

    def look(
        self, image_size: int, preprocessing: Preprocessing | None, channels: int | None = None
    ) -> nn.Module | None:
        """From batches of a pass to what a network that takes such images takes.

        None if that is what batches are.

        Raises:
            DataError: if they are prepared for other eyes.
        """
        how = preprocessing or self.preprocessing
        wanted = self.eyes_for(image_size, how, channels or self.channels)
        if wanted == self.eyes:
            return None
        raise DataError(
            f"{self.name} is prepared as {self.eyes}, and a network sees {wanted}; take the data "
            "that `data_for` makes for all networks together"
        )

    def pictures(
        self,
        images: Tensor,  # uint8, as `train_images` or `val_images` hold them
    ) -> Tensor:  # (N, C, H, W), uint8
        """Images for a person to look at."""
        return images

    def prepare_data(self) -> None:
        """Download what is absent; nothing by default."""

    def setup(self) -> None:
        """Load both parts, once."""
        if hasattr(self, "val_labels"):
            return
        self.prepare_data()
        self.train_images, self.train_labels = self._load_and_resize("train")
        self.val_images, self.val_labels = self._load_and_resize("test")

    def check(self, show: Show = lambda parts, _: parts) -> None:
        """Look now for what training would only meet later; `show` as in `ImageFiles.unreadable`.

        Raises:
            DataError: if there is no image of a class, or files that cannot be read.
        """
        self.setup()
        self._check_every_class_is_there()
        both = (self.train_images, self.val_images)
        files = [images for images in both if isinstance(images, ImageFiles)]
        if damage := [text for part in files for text in part.unreadable(show)]:
            raise DataError(
                f"{self.name}: {len(damage):,} of {sum(map(len, files)):,} images cannot be read: "
                f"{', '.join(damage[:3])}{' and others' if len(damage) > 3 else ''}; "
                "get them anew, or leave them out"
            )

    def train_batches(self, examples: int | None = None, draw: int = 0) -> Batches:
        """Prepared training images for one pass, not augmented: all, or a random choice.

        The choice is the same for a `draw`.
        """
        self.setup()
        order = in_order(self.num_train, self.eval_batch_size, examples, draw)
        return Batches(self.train_images, self.train_labels, order, self.prepare)

    def val_batches(self, examples: int | None = None) -> Batches:
        """Prepared held-out images for one pass: all of them, or a fixed random choice."""
        self.setup()
        order = in_order(self.num_val, self.eval_batch_size, examples)
        return Batches(self.val_images, self.val_labels, order, self.prepare)

    @property
    def val_rows(self) -> Tensor:  # (N,), int64
        """Which of what lies on the disk each held-out example is, from 0."""
        return torch.arange(self.num_val)

    def mixed_val_batches(self, examples: int | None = None) -> Batches:
        """Those of `val_batches` in one random order: data may lie class by class."""
        self.setup()
        order = mixed(self.num_val, self.eval_batch_size, examples)
        return Batches(self.val_images, self.val_labels, order, self.prepare)

    def shuffled_batches(self) -> Batches:
        """What training takes: shuffled whole batches, still uint8, neither augmented nor prepared.

        Raises:
            DataError: as `check`, or if there are not enough for a batch.
        """
        self.check()
        order = shuffled(self.num_train, self.batch_size, self.order_seed)
        return Batches(self.train_images, self.train_labels, order)

    def label_columns(self, labels: Tensor) -> dict[str, list[str]]:
        """The labels in words: the class of each image, or yes or no for every label."""
        if not self.multilabel:
            return {"class": [self.classes[i] for i in labels.tolist()]}
        rows = labels.T.tolist()
        return {
            name: ["yes" if value else "no" for value in row]
            for name, row in zip(self.classes, rows, strict=True)
        }

    def _load_and_resize(self, split: str) -> tuple[Tensor | Images, Tensor]:
        images, labels = self.load(split)
        where = f"{self.name}, {split}"
        if not len(labels):
            raise DataError(f"{where}: there are no images; make its files anew")
        if isinstance(images, Tensor):
            expected = (len(labels), self.in_channels, self.native_size, self.native_size)
            if tuple(images.shape) != expected or images.dtype != torch.uint8:
                raise DataError(
                    f"{where}: {len(labels)} labels need uint8 images of shape "
                    f"{expected}, got {images.dtype} of shape {tuple(images.shape)}; "
                    "do images and labels belong together?"
                )
            images = resized(images, self.image_size, self.eyes.resampling)
        check = _check_several if self.multilabel else _check_classes
        check(where, labels, self.num_classes)
        return images, labels

    def _check_every_class_is_there(self) -> None:
        if self.multilabel:
            return
        counts = torch.bincount(self.train_labels, minlength=self.num_classes)
        if absent := [self.classes[i] for i in (counts == 0).nonzero().flatten().tolist()]:
            names = ", ".join(absent[:5]) + (" and others" if len(absent) > 5 else "")
            raise DataError(
                f"{self.name}, train: no image of {len(absent)} of {self.num_classes} classes "
                f"({names}), which a network would have to tell apart unseen; make its files anew"
            )


def _check_classes(where: str, labels: Tensor, num_classes: int) -> None:
    low, high = labels.min().item(), labels.max().item()
    if low < 0 or high >= num_classes:
        raise DataError(
            f"{where}: labels must be 0 to {num_classes - 1}, got {low} to {high}; "
            "make its files anew"
        )


def _check_several(where: str, labels: Tensor, num_labels: int) -> None:
    fits = labels.ndim == 2 and labels.shape[1] == num_labels and labels.is_floating_point()
    if not fits or not ((labels == 0) | (labels == 1)).all():
        raise DataError(
            f"{where}: several labels per image must be 0.0 or 1.0, of shape (N, {num_labels}), "
            f"got {labels.dtype} of shape {tuple(labels.shape)}; make its files anew"
        )


_MODES = {
    Image.Resampling.NEAREST: "nearest-exact",
    Image.Resampling.BILINEAR: "bilinear",
    Image.Resampling.BICUBIC: "bicubic",
}


def resized(
    images: Tensor,  # (N, C, H, H); whole numbers stay such
    size: int,
    resampling: Image.Resampling = Image.Resampling.BILINEAR,
) -> Tensor:  # (N, C, size, size)
    """As PIL and torchvision resize: shrinking, the filter widens; rounded to whole numbers.

    Raises:
        DataError: for a filter that only image files can be resized by.
    """
    if images.shape[-1] == size:
        return images
    if resampling not in _MODES:
        raise DataError(
            f"images in memory are resized by {', '.join(one.name.lower() for one in _MODES)}, not "
            f"{resampling.name.lower()}; say another ‹resampling›, or take image files"
        )
    if images.device.type != "cpu" and not images.is_floating_point():
        # Whole numbers are resized there only.
        return resized(images.cpu(), size, resampling).to(images.device)
    mode = _MODES[resampling]
    return torch.cat(
        [
            F.interpolate(chunk, size=(size, size), mode=mode, antialias=mode[:2] == "bi")
            for chunk in images.split(
                4096
            )  # where uint8 is resized as float, four times the memory
        ]
    )


_LUMA = (19595, 38470, 7471)  # of red, green and blue, in 65536: ITU-R 601-2, as PIL has it


def recoloured(
    images: Tensor,  # (N, C, H, W), between 0 and 255; whole numbers stay such
    channels: int,
) -> Tensor:  # (N, channels, H, W)
    """Grey images in colour, all channels alike, or colours as grey, as PIL's `convert("L")`.

    Images that have as many channels are given back as they are.
    """
    if images.shape[1] == channels:
        return images
    if channels != 1:
        return images.repeat(1, channels, 1, 1)
    luma = torch.tensor(_LUMA, device=images.device)[:, None, None]
    if images.is_floating_point():
        return (images * (luma / 65536).to(images)).sum(1, keepdim=True)
    return ((images * luma).sum(1, keepdim=True) + 32768 >> 16).to(images.dtype)


def recoloured_numbers(numbers: Sequence[float], channels: int) -> tuple[float, ...]:
    """The means of channels, or their standard deviations, once images are `recoloured`.

    The mean is exact. So is a deviation where all channels vary alike, as they nearly do.

    Raises:
        DataError: if images of so many channels cannot be made of others.

    >>> recoloured_numbers((0.25,), 3)
    (0.25, 0.25, 0.25)
    """
    if len(numbers) == channels:
        return tuple(numbers)
    if (len(numbers), channels) == (1, 3):
        return tuple(numbers) * 3
    if (len(numbers), channels) == (3, 1):
        return (sum(share * one for share, one in zip(_LUMA, numbers, strict=True)) / 65536,)
    raise DataError(
        f"images of {counted(len(numbers), 'channel')} cannot become images of {channels}: only "
        "grey (1) and colour (3) are made of each other"
    )


def normalised(
    images: Tensor,  # (N, C, H, W), between 0 and 255
    mean: Sequence[float],  # per channel, of images between 0 and 1
    std: Sequence[float],
) -> Tensor:  # (N, C, H, W), float
    """Every channel less its mean, over its standard deviation."""
    means = torch.tensor(mean, device=images.device)[:, None, None]
    stds = torch.tensor(std, device=images.device)[:, None, None]
    return images * (1 / (255 * stds)) - means / stds


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

    def eyes_for(
        self, image_size: int, preprocessing: Preprocessing | None, channels: int | None = None
    ) -> Preprocessing:
        """What its images become, in full, for a network that takes such images."""
        how = preprocessing or IMAGENET
        return replace(
            super().eyes_for(image_size, preprocessing, channels),
            resize=how.resize_for(image_size),
            resampling=how.resampling,
            squash=how.squash,
        )

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Random windows, half of them mirrored."""
        return random_crop_and_flip(images, self.image_size, generator)

    def prepare(self, images: Tensor) -> Tensor:
        """The centre, unless it is all that is left, normalised."""
        return super().prepare(centre_crop(images, self.image_size))
