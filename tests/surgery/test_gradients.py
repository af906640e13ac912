"""Gradients through halves are the network's, whatever it does about its own."""

import copy

import pytest
import torch
from torch import nn
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from frankenstein.surgery import LayerError, cut, cut_points

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(nn.Module):
    def __init__(self, between):
        super().__init__()
        self.a, self.c, self.d = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.between = between

    def forward(self, x):
        return self.d(self.between(self, self.a(x)).tanh())


def kept_elsewhere(self, h):
    with save_on_cpu():
        return self.c(h).tanh()


def rounded(self, h):
    with saved_tensors_hooks(lambda x: x.round(), lambda x: x):
        return self.c(h.exp())


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
    "saved on the CPU": kept_elsewhere,
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


def test_changes_to_what_is_saved_for_gradients_are_refused_or_the_network_runs_itself():
    network = Net(rounded).eval()
    expected = gradients(network, network)
    with pytest.raises(LayerError, match="it changes what is saved for gradients"):
        cut(network, after="tanh", inputs=X)
    for layer in ("a", "c"):
        front, end = cut(network, after=layer, inputs=X)
        found = gradients(network, lambda x, front=front, end=end: end(front(x)))
        assert all(map(torch.equal, found, expected)), layer


def test_a_half_whose_network_keeps_a_tensor_with_gradients_is_not_copied():
    def keep(self, h):
        self.c.last = self.c(h)
        return self.c.last

    network = Net(keep).eval()
    front, end = cut(network, after="c", inputs=X)
    end(front(X))
    network(X)
    with pytest.raises(LayerError, match="keeps a tensor that carries gradients"):
        copy.deepcopy(front)
    with torch.no_grad():
        network(X)
    assert torch.equal(end(copy.deepcopy(front)(X)), network(X))
