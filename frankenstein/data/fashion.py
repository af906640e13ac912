"""Fashion-MNIST: 70,000 pieces of clothing of 28x28 pixels."""

import torchvision

from frankenstein.data.idx import IdxImages


class Fashion(IdxImages):
    """60,000 pieces of clothing to train with and 10,000 held out.

    Normalised with MNIST's numbers, as Dr. Frankenstein does; its own are 0.286 and 0.353.

    Source: Xiao et al. 2017, https://arxiv.org/abs/1708.07747.
    """

    name = "Fashion-MNIST"
    source = torchvision.datasets.FashionMNIST
    published = (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    )
    classes = tuple(torchvision.datasets.FashionMNIST.classes)
    num_classes = len(classes)
