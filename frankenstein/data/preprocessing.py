"""How an image becomes what a network sees: its eyes, which come with the network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from frankenstein.errors import DataError


@dataclass(frozen=True)
class Preprocessing:
    """Resize the shorter side, crop the centre, normalise.

    Of a data set that holds squares the whole image is resized to the crop's size. Pixels are
    resized in 8 bits and rounded to whole numbers, as images are by PIL, torchvision and timm.
    """

    resize: int  # pixels of the shorter side
    crop: int  # pixels, height and width
    mean: tuple[float, ...]  # per channel, of images between 0 and 1; (): as the data set has it
    std: tuple[float, ...]
    resampling: Image.Resampling = Image.Resampling.BILINEAR
    squash: bool = False  # both sides are resized, whatever their ratio was

    def resize_for(self, image_size: int) -> int:
        """What the shorter side is resized to for crops of another size, in the same ratio.

        >>> IMAGENET.resize_for(224), IMAGENET.resize_for(32)
        (256, 37)
        """
        return round(image_size * self.resize / self.crop)

    def __str__(self) -> str:
        """
        >>> print(IMAGENET)
        224 x 224 pixels, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225
        """
        mean, std = (", ".join(f"{one:.4g}" for one in many) for many in (self.mean, self.std))
        usual = self.resampling is Image.Resampling.BILINEAR
        how = "" if usual else f", {self.resampling.name.lower()}"
        numbers = f", mean {mean}, std {std}" if self.mean else ""
        return f"{self.crop} x {self.crop} pixels{how}{numbers}"


IMAGENET = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def preprocessing_of(
    transforms: Any,  # what `weights.transforms()` of torchvision returns
) -> Preprocessing:
    """The preprocessing that torchvision's classification weights were trained for.

    Raises:
        DataError: if these are the transforms of another task.

    >>> from torchvision.models import ResNet50_Weights
    >>> preprocessing_of(ResNet50_Weights.IMAGENET1K_V2.transforms()).resize
    232
    """
    try:
        (resize,), (crop,) = transforms.resize_size, transforms.crop_size
        mean, std = tuple(transforms.mean), tuple(transforms.std)
        resampling = Image.Resampling[transforms.interpolation.name]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise DataError(
            f"{type(transforms).__name__} does not say how to resize, crop and normalise images; "
            "give the transforms() of torchvision weights for image classification"
        ) from None
    return Preprocessing(resize, crop, mean, std, resampling)


def resampling_of(name: str) -> Image.Resampling:
    """How images are resized, by its name in PIL and torchvision.

    Raises:
        DataError: if there is no such way.
    """
    known = {one.name.lower(): one for one in Image.Resampling}
    if name.lower() not in known:
        raise DataError(f"unknown resampling {name!r}; known: {', '.join(known)}")
    return known[name.lower()]


def preprocessing_from(facts: Any, of: str, size: int | None = None) -> Preprocessing:
    """The preprocessing that somebody writes down as a dict, such as beside a network's code.

    "mean" and "std" are one number or one a channel, of images between 0 and 1; "size" is pixels,
    height and width, and what is given here if absent. "resize", pixels of the shorter side before
    the centre is cropped, is the size if absent, and "resampling" bilinear.

    Raises:
        DataError: if it says less or more; `of` is what the message calls it.

    >>> print(preprocessing_from({"mean": 0.5, "std": 0.25, "size": 28}, "mine"))
    28 x 28 pixels, mean 0.5, std 0.25
    """
    wanted = (
        "mean and std (numbers between 0 and 1) and size (pixels), and maybe resize, resampling"
    )
    if isinstance(facts, Mapping) and "size" not in facts and {"mean", "std"} <= facts.keys():
        if size is None:
            raise DataError(
                f"{of} has no size, and no data set says it: add size, in pixels, such as 28, "
                "which leaves Fashion-MNIST as it is, or choose ‹dataset›"
            )
        facts = {**facts, "size": size}
    if not isinstance(facts, Mapping) or not {"mean", "std", "size"} <= facts.keys() <= {
        *("mean", "std", "size", "resize", "resampling")
    }:
        got = ", ".join(map(str, facts)) if isinstance(facts, Mapping) else type(facts).__name__
        raise DataError(f"{of} is a dict of {wanted}; got {got}")
    try:
        size = int(facts["size"])
        mean, std = (
            tuple(float(one) for one in (many if isinstance(many, list | tuple) else [many]))
            for many in (facts["mean"], facts["std"])
        )
        resampling = resampling_of(str(facts.get("resampling", "bilinear")))
        eyes = Preprocessing(int(facts.get("resize", size)), size, mean, std, resampling)
    except (TypeError, ValueError) as error:
        raise DataError(f"{of} is a dict of {wanted}; got {dict(facts)} ({error})") from None
    if len(mean) != len(std) or not mean or size < 1 or eyes.resize < size:
        raise DataError(f"{of} has as many means as stds and a size of pixels; got {dict(facts)}")
    if not all(math.isfinite(one) for one in mean) or not all(one > 0 for one in std):
        raise DataError(f"{of} has means that are numbers and stds above 0; got {dict(facts)}")
    return eyes


def processor_preprocessing(facts: Mapping[str, Any], of: str) -> Preprocessing | None:
    """What an image processor of transformers does, from its `preprocessor_config.json`.

    None if it does not say what size it makes.

    Raises:
        DataError: if it does what cannot be done here, such as padding.

    >>> sizes = {"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True}
    >>> print(processor_preprocessing(sizes | {"image_mean": [0.5], "image_std": [0.5]}, "it"))
    224 x 224 pixels, mean 0.5, std 0.5
    """
    try:
        return _of_processor(facts, of)
    except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:
        raise DataError(f"{of} does not say in numbers what images it takes: {error}") from None


def _of_processor(facts: Mapping[str, Any], of: str) -> Preprocessing | None:
    if facts.get("do_pad") or not facts.get("do_rescale", True) or facts.get("offset"):
        raise DataError(
            f"{of} pads images or does not scale them to 0 to 1; say ‹normalize›, ‹size›"
        )
    size = _side(facts.get("size"))
    if size is None:
        return None
    resize, crop = size, _side(facts.get("crop_size")) if facts.get("do_center_crop") else None
    if facts.get("crop_pct") and "shortest_edge" in facts["size"] and size < 384:  # of ConvNeXT
        resize, crop = int(size / facts["crop_pct"]), size
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    if facts.get("do_normalize", True):
        mean, std = (tuple(map(float, facts[key])) for key in ("image_mean", "image_std"))
    return Preprocessing(
        resize,
        crop or resize,
        mean,
        std,
        Image.Resampling(facts.get("resample", Image.Resampling.BILINEAR)),
        squash=isinstance(facts["size"], Mapping) and "height" in facts["size"],
    )


def _side(size: Any) -> int | None:
    """Pixels of a side, as processors write them."""
    if isinstance(size, Mapping):
        size = size.get("shortest_edge", size.get("height"))
    return None if size is None else int(size)
