"""A narrow tanh network whose few units can be looked at one by one."""

from torch import Tensor, nn


def mlp(num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """784-32-16-10 with tanh, on images of 28x28 pixels.

    >>> import torch
    >>> mlp()(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 10])
    """
    return _MLP(num_classes, in_channels)


class _MLP(nn.Module):
    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, 28, 28)
        self.fc1 = nn.Linear(in_channels * 28 * 28, 32)
        self.tanh1 = nn.Tanh()
        self.fc2 = nn.Linear(32, 16)
        self.tanh2 = nn.Tanh()
        self.fc3 = nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.tanh1(self.fc1(x.flatten(1)))
        return self.fc3(self.tanh2(self.fc2(x)))
