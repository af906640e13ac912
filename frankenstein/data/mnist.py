"""MNIST: 70,000 handwritten digits of 28x28 pixels."""

import torchvision

from frankenstein.data.idx import IdxImages


class MNIST(IdxImages):
    """60,000 digits to train with and 10,000 held out.

    Source: LeCun et al. 1998, http://yann.lecun.com/exdb/mnist.
    """

    name = "MNIST"
    source = torchvision.datasets.MNIST
    published = (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    )
    classes = tuple("0123456789")
    num_classes = len(classes)
