"""Small networks; layers are named as in Dr. Frankenstein's checkpoints, where it has them."""

from torch import Tensor, nn


def dense(num_classes: int = 10, in_channels: int = 1, k: int = 300) -> nn.Module:
    """Three hidden layers of k units with ReLU, on images of 32x32 pixels.

    >>> import torch
    >>> dense()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _Dense(num_classes, in_channels, k)


class _Dense(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, k: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, 32, 32)
        self.fc1 = nn.Linear(in_channels * 32 * 32, k)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(k, k)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(k, k)
        self.relu3 = nn.ReLU()
        self.fc4 = nn.Linear(k, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.fc1(x.flatten(1)))
        x = self.relu2(self.fc2(x))
        x = self.relu3(self.fc3(x))
        return self.fc4(x)


def lenet(num_classes: int = 10, in_channels: int = 1) -> nn.Module:
    """Two convolutions with pooling, three linear layers.

    Source: LeCun et al. 1998, with the ReLUs of Csiszárik et al. 2021.

    >>> import torch
    >>> lenet()(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    return _LeNet(num_classes, in_channels)


class _LeNet(nn.Module):
    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.input_shape = (in_channels, 32, 32)
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(120, 84)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.relu1(self.conv1(x)))
        x = self.pool2(self.relu2(self.conv2(x)))
        x = self.relu3(self.fc1(x.flatten(1)))
        x = self.relu4(self.fc2(x))
        return self.fc3(x)


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
