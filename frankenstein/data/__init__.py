"""Data -> zoo: labelled images, uint8 until a batch is prepared."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.data.celeba import CelebA
    from frankenstein.data.cifar import CIFAR10, CIFAR100
    from frankenstein.data.digits import Digits
    from frankenstein.data.folder import Folder
    from frankenstein.data.idx import MNIST, Fashion
    from frankenstein.data.images import ImageData
    from frankenstein.data.preprocessing import (
        Preprocessing,
        preprocessing_from,
        preprocessing_of,
        resampling_of,
    )
    from frankenstein.data.synthetic import Synthetic
    from frankenstein.errors import DataError

__getattr__, __dir__, __all__ = lazy_names(__name__)
