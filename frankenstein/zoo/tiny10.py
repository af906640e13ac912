"""Tiny-10, the small convolutional network of Dr. Frankenstein, its layers named as there."""

from torch import Tensor, nn

_CHANNELS = (16, 16, 32, 32, 32, 64, 64, 64)
_KERNELS = (3, 3, 3, 3, 3, 3, 3, 1)
_STRIDES = (1, 1, 2, 1, 1, 2, 1, 1)


def tiny10(num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """Eight blocks of convolution, BatchNorm and ReLU, the mean over places, one linear layer.

    Source: Csiszárik et al. 2021, appendix A, https://arxiv.org/abs/2110.14633.

    >>> import torch
    >>> tiny10()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _Tiny10(num_classes, in_channels)


class _Tiny10(nn.Module):
    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, 32, 32)
        widths = (in_channels, *_CHANNELS)
        for i, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True)):
            self.add_module(f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], kernel, stride))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
            self.add_module(f"relu{i + 1}", nn.ReLU())
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, len(_CHANNELS) + 1):
            x = getattr(self, f"conv{i}")(x)
            x = getattr(self, f"bn{i}")(x)
            x = getattr(self, f"relu{i}")(x)
        return self.fc(x.mean(dim=(-2, -1)))
