"""Data -> zoo: labelled images, uint8 until a batch is prepared."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.data.celeba import CelebA
    from frankenstein.data.cifar10 import CIFAR10
    from frankenstein.data.cifar100 import CIFAR100
    from frankenstein.data.digits import Digits
    from frankenstein.data.errors import DataError
    from frankenstein.data.fashion import Fashion
    from frankenstein.data.folder import Folder
    from frankenstein.data.images import ImageData
    from frankenstein.data.mnist import MNIST
    from frankenstein.data.preprocessing import Preprocessing, preprocessing_of
    from frankenstein.data.synthetic import Synthetic

__getattr__, __dir__, __all__ = lazy_names(__name__)
