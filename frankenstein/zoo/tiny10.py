"""Tiny-10, the small convolutional network of Dr. Frankenstein, its layers named as there."""

from torch import Tensor, nn

_CHANNELS = (16, 16, 32, 32, 32, 64, 64, 64)
_KERNELS = (3, 3, 3, 3, 3, 3, 3, 1)
_STRIDES = (1, 1, 2, 1, 1, 2, 1, 1)


def tiny10(num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> nn.Module:
    """Eight blocks of convolution, BatchNorm and ReLU, the mean over places, one linear layer.

    Source: Csiszárik et al. 2021, appendix A, https://arxiv.org/abs/2110.14633.

    >>> import torch
    >>> tiny10()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _Tiny10(num_classes, in_channels, image_size, ("conv", "bn", "relu"))


def nbn_tiny10(num_classes: int = 10, in_channels: int = 1, image_size: int = 32) -> nn.Module:
    """Tiny-10 without BatchNorm.

    >>> [name for name, _ in nbn_tiny10().named_children()][:3]
    ['conv1', 'relu1', 'conv2']
    """
    return _Tiny10(num_classes, in_channels, image_size, ("conv", "relu"))


class _Tiny10(nn.Module):
    def __init__(
        self, num_classes: int, in_channels: int, image_size: int, block: tuple[str, ...]
    ) -> None:
        super().__init__()
        self.input_shape = (in_channels, image_size, image_size)
        widths = (in_channels, *_CHANNELS)
        for i, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True)):
            layers = {
                "conv": nn.Conv2d(widths[i], widths[i + 1], kernel, stride),
                "bn": nn.BatchNorm2d(widths[i + 1]),
                "relu": nn.ReLU(),
            }
            for kind in block:
                self.add_module(f"{kind}{i + 1}", layers[kind])
        self.fc = nn.Linear(widths[-1], num_classes)
        self.order = [f"{kind}{i + 1}" for i in range(len(_CHANNELS)) for kind in block]

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order:
            x = getattr(self, name)(x)
        return self.fc(x.mean(dim=(-2, -1)))
