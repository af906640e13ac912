"""How an image becomes what a network sees, where trained weights prescribe it."""

from dataclasses import dataclass
from typing import Any

from PIL import Image

from frankenstein.errors import DataError


@dataclass(frozen=True)
class Preprocessing:
    """Resize the shorter side, crop the centre, normalise."""

    resize: int  # pixels of the shorter side
    crop: int  # pixels, height and width
    mean: tuple[float, ...]  # per channel, of images between 0 and 1
    std: tuple[float, ...]
    resampling: Image.Resampling = Image.Resampling.BILINEAR

    def resize_for(self, image_size: int) -> int:
        """What the shorter side is resized to for crops of another size, in the same ratio.

        >>> IMAGENET.resize_for(224), IMAGENET.resize_for(32)
        (256, 37)
        """
        return round(image_size * self.resize / self.crop)


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
