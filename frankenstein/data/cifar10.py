"""CIFAR-10: 60,000 colour photographs of 32x32 pixels in 10 classes."""

import torchvision

from frankenstein.data.cifar import CifarImages


class CIFAR10(CifarImages):
    """50,000 photographs to train with and 10,000 held out.

    Source: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
    """

    name = "CIFAR-10"
    source = torchvision.datasets.CIFAR10
    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    )  # fmt: skip
    num_classes = len(classes)
    mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
