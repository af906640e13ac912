"""GoogLeNet, the first Inception network, untrained."""

from torch import nn
from torchvision.models import googlenet


def inceptionv1(num_classes: int = 10, in_channels: int = 3, image_size: int = 224) -> nn.Module:
    """torchvision's GoogLeNet with BatchNorm and without the two auxiliary heads.

    `torchvision/googlenet` is the same network where it is to start from trained weights: its
    input is then rescaled as they need it.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1409.4842.
    """
    network = googlenet(num_classes=num_classes, aux_logits=False, init_weights=False)
    if in_channels != 3:
        network.conv1.conv = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    network.input_shape = (in_channels, image_size, image_size)
    return network
