"""MNIST: 70,000 handwritten digits of 28x28 pixels."""

import torchvision

from frankenstein.data.idx import IdxImages


class MNIST(IdxImages):
    """60,000 digits to train with and 10,000 held out.

    Source: LeCun et al. 1998, http://yann.lecun.com/exdb/mnist.
    """

    name = "MNIST"
    source = torchvision.datasets.MNIST
    classes = tuple("0123456789")
    num_classes = len(classes)
