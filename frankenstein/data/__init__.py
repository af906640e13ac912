"""Data -> zoo: labelled images as LightningDataModules, held as uint8, prepared by the batch."""

from frankenstein.data.cifar10 import CIFAR10
from frankenstein.data.digits import Digits
from frankenstein.data.errors import DataError
from frankenstein.data.fashion import Fashion
from frankenstein.data.images import ImageData
from frankenstein.data.mnist import MNIST

__all__ = ["CIFAR10", "MNIST", "DataError", "Digits", "Fashion", "ImageData"]
