"""ResNet-20 for small images, its layers named as in Dr. Frankenstein's checkpoints."""

from torch import Tensor, nn

_BLOCKS = 3  # in each of the three stages


def resnet20(
    num_classes: int = 10, in_channels: int = 3, image_size: int = 32, k: int = 1
) -> nn.Module:
    """Three stages of three residual blocks, of widths 16k, 32k and 64k.

    Each block's sum is a layer, `layer1.0.add`. Where a stage changes the width, a convolution of
    1x1 takes the shortcut.

    Source: He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385, with the shortcuts and
    widths of Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.

    >>> import torch
    >>> resnet20(k=2)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _ResNet20(num_classes, in_channels, image_size, k)


class _ResNet20(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, image_size: int, k: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        self.conv1 = _conv(in_channels, 16 * k, 3)
        self.bn1 = nn.BatchNorm2d(16 * k)
        self.relu = nn.ReLU()
        self.layer1 = _stage(16 * k, 16 * k, stride=1)
        self.layer2 = _stage(16 * k, 32 * k, stride=2)
        self.layer3 = _stage(32 * k, 64 * k, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64 * k, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            None
            if inputs == outputs
            else nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        return self.relu(x + shortcut)


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    rest = [_Block(outputs, outputs, stride=1) for _ in range(_BLOCKS - 1)]
    return nn.Sequential(_Block(inputs, outputs, stride), *rest)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv
