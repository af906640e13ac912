"""Gradients through halves are the network's, whatever it does about its own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from frankenstein.surgery import cut, cut_points

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.a, self.c, self.d = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.between = between

    def forward(self, x):
        return self.d(self.between(self, self.a(x)).tanh())


def doubled(self, h):
    if h.requires_grad:
        h.register_hook(lambda gradient: 2 * gradient)
    return self.c(h)


def written(self, h):
    h = h * 1
    with torch.no_grad():
        h.mul_(3)
        h[:, 0] = 2
        F.relu(h, inplace=True)
    return self.c(h)


def taken_off(self, h):
    gate = self.c(h)
    gate.detach_()
    return h * gate


BETWEEN = {
    "checkpoint": lambda self, h: checkpoint(self.c, h, use_reentrant=False),
    "reentrant checkpoint": lambda self, h: checkpoint(
        lambda one, other: self.c(one) * other, h, h.tanh(), use_reentrant=True
    ),
    "hook on a tensor": doubled,
    "written into without gradients": written,
    "detach_": taken_off,
    "straight through": lambda self, h: h + (h.round() - h).detach(),
}


def gradients(network, function):
    network.zero_grad()
    x = X.clone().requires_grad_()
    function(x).square().sum().backward()
    return [x.grad, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("between", BETWEEN)
def test_gradients_of_halves_are_those_of_the_network(between):
    network = Net(BETWEEN[between]).eval()
    expected = gradients(network, network)
    points = cut_points(network, inputs=X)
    assert {"a", "d"} < points.keys()
    for layer in points:
        front, end = cut(network, after=layer, inputs=X)
        found = gradients(network, lambda x, front=front, end=end: end(front(x)))
        assert len(found) == len(expected)
        assert all(map(torch.equal, found, expected)), layer
