"""Hooks, patches and other weights of what is one step: what they bring in is seen."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from frankenstein.surgery import LayerError, cut, cut_points

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x)).relu()).relu())


def kept_in_a_dict(network):
    box = {}
    network.a.register_forward_hook(lambda module, given, out: box.__setitem__("a", out))
    network.c.register_forward_hook(lambda module, given, out: out + box["a"])


def kept_in_the_network(network):
    network.a.register_forward_hook(lambda module, given, out: setattr(network, "kept", out))
    network.c.register_forward_pre_hook(lambda module, given: (given[0] + network.kept,))


def kept_in_a_list(network):
    box = []
    network.a.register_forward_hook(lambda module, given, out: box.append(out * 2))
    network.c.register_forward_hook(lambda module, given, out: out * box.pop())


def kept_as_a_number(network):
    box = {}
    network.a.register_forward_hook(lambda module, given, out: box.update(m=out.mean().item()))
    network.c.register_forward_hook(lambda module, given, out: out * box["m"])


def check_halves(network, layer):
    front, end = cut(network, after=layer, inputs=X)
    for x in (X, 10 * X[:2], X.flip(0)):
        z, expected = front(x), network(x)
        front(-x)  # what hooks keep is that of another batch now
        kept = z.clone()
        assert torch.equal(end(z), expected), layer
        assert torch.equal(z, kept), layer


@torch.no_grad()
@pytest.mark.parametrize(
    "skip", [kept_in_a_dict, kept_in_the_network, kept_in_a_list, kept_as_a_number]
)
def test_a_skip_connection_through_hooks_is_one(skip):
    network = Net().eval()
    skip(network)
    with pytest.raises(LayerError, match=r"'(a|a\.mul|item)' goes around it"):
        cut(network, after="relu", inputs=X)
    points = cut_points(network, inputs=X)
    assert not {"b", "relu"} & points.keys()
    for layer in points:
        check_halves(network, layer)


@torch.no_grad()
def test_what_hooks_of_one_step_keep_is_theirs_again_after_a_recording():
    network, kept, counts = Net().eval(), [], {"calls": 0}

    def count(module, given, out):
        counts["calls"] += 1
        kept.append(out.detach().numpy())  # which nobody can have of a tensor without data

    network.b.register_forward_hook(lambda module, given, out: kept.append(out))
    network.c.register_forward_hook(count)
    front, end = cut(network, after="b", inputs=X)
    assert cut_points(network, inputs=X).keys() == {"a", "b", "relu", "c", "relu_1", "d"}
    assert (kept, counts) == ([], {"calls": 0})
    end(front(X))
    assert (len(kept), counts) == (2, {"calls": 1})


@torch.no_grad()
def test_a_hook_that_writes_into_the_representation_does_not_write_into_the_callers():
    for asks in (False, True):
        network = Net().eval()

        def write(module, given, asks=asks):
            given[0].mul_(2)
            assert not asks or given[0].sum().item() < 1e9

        network.b.register_forward_pre_hook(write)
        check_halves(network, "a")


def test_weights_that_a_function_call_brings_are_those_of_the_halves():
    class Adapted(Net):
        """A low-rank change that is nothing at first."""

        def __init__(self):
            super().__init__()
            self.up, self.down = (nn.Parameter(x) for x in (torch.zeros(4, 1), torch.ones(1, 4)))

        def forward(self, x):
            weights = {"weight": self.b.weight + self.up @ self.down}
            return self.d(functional_call(self.b, weights, self.a(x)).relu())

    network = Adapted().eval()
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))
    end(front(X)).sum().backward()
    assert network.up.grad is not None
    with torch.no_grad():
        network.up.fill_(3)
    assert torch.equal(end(front(X)), network(X))


class Features(nn.Module):
    """Reads what hooks have kept of its parts."""

    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.kept, self.d = [], nn.Linear(8, 2)
        for part in (self.parts[1], self.parts[2]):
            part.register_forward_hook(lambda module, given, out: self.kept.append(out))

    def forward(self, x):
        self.kept.clear()
        self.parts(x)
        return self.d(torch.cat(self.kept, 1))


class Generated(nn.Module):
    """Computes the weights of one of its layers."""

    def __init__(self):
        super().__init__()
        self.a, self.make, self.d = nn.Linear(4, 4), nn.Linear(4, 16), nn.Linear(4, 2)
        del self.d.weight

    def forward(self, x):
        h = self.a(x)
        self.d.weight = self.make(h.mean(0)).view(4, 4)[:2]
        return self.d(self.a(h))


@torch.no_grad()
@pytest.mark.parametrize("build", [Features, Generated])
def test_what_goes_from_one_step_to_another_through_the_network_is_followed(build):
    network = build().eval()
    points = cut_points(network, inputs=X)
    assert len(points) >= 2
    for layer in points:
        check_halves(network, layer)


def test_a_block_with_hooks_on_its_gradients_is_one_step():
    network = Net().eval()
    network.b = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    network.b.register_full_backward_hook(lambda module, given, out: (3 * given[0],))
    network(X).sum().backward()
    expected = network.a.weight.grad
    network.a.weight.grad = None
    front, end = cut(network, after="b", inputs=X)
    end(front(X)).sum().backward()
    assert torch.equal(network.a.weight.grad, expected)
    assert "b.0" not in cut_points(network, inputs=X)


def test_a_hook_that_came_later_and_that_the_network_needs_is_told():
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    front, _ = cut(network, after="1", inputs=torch.ones(2, 3))
    network[0].register_forward_pre_hook(lambda module, given: (given[0][:, :3],))
    with pytest.raises(LayerError, match="other hooks than when it was cut"):
        front(torch.ones(2, 5))
    again, _ = cut(network, after="1", inputs=torch.ones(2, 5))
    assert again(torch.ones(2, 5)).shape == (2, 4)
