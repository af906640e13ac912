from types import SimpleNamespace

import torch
from torch import nn

from frankenstein.data import Digits
from frankenstein.networks import accuracy


class Viewed(nn.Module):
    """Its maps must lie in memory as convolutions give them."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(72, 10)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(x.view(x.size(0), -1))


def test_accuracy_is_measured_of_a_network_that_views_its_maps(monkeypatch):
    data = Digits()
    data.setup()
    network = SimpleNamespace(role="sender", module=Viewed().eval())
    monkeypatch.setattr(accuracy, "answers_to", lambda *_: True)
    monkeypatch.setattr(accuracy, "look_of", lambda *_: lambda x: x.float() / 255)
    found = accuracy.network_accuracy([network], data, torch.device("cpu"), True, most=20)
    assert 0 <= found["accuracy/sender"] <= 1
