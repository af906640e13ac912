"""What a network keeps beside its activations: memory that it writes into, and state of its own."""

import copy
import pickle

import pytest
import torch
from torch import nn

from frankenstein.surgery import LayerError, cut, cut_points

X = torch.linspace(-1, 1, 12).reshape(3, 4)


class Net(nn.Module):
    """Keeps something of its first layer, by `keep`, for its last, in `use`."""

    def __init__(self, keep, use):
        super().__init__()
        self.a, self.b, self.d = (nn.Linear(4, 4) for _ in range(3))
        self.register_buffer("memory", torch.zeros(8, 4))
        self.plain, self.count, self.last = torch.zeros(8, 4), 0, None
        self.keep, self.use = keep, use

    def forward(self, x):
        h = self.a(x)
        kept = self.keep(self, h)
        h = self.b(h).tanh()
        return self.d(h) + self.use(self, h, kept)


def into_buffer(self, h):
    self.memory[: len(h)] = h


def into_attribute(self, h):
    self.plain[: len(h)].copy_(h)


def into_zeros(self, h):
    kept = torch.zeros(len(h), 4)
    kept[:, 1:] = h[:, 1:]
    return kept


@torch.no_grad()
@pytest.mark.parametrize(
    ("keep", "use"),
    [
        (into_buffer, lambda self, h, kept: self.memory[: len(h)]),
        (into_attribute, lambda self, h, kept: self.plain[: len(h)]),
        (into_zeros, lambda self, h, kept: kept),
    ],
    ids=["buffer", "attribute", "zeros"],
)
def test_memory_that_activations_are_written_into_goes_around_a_cut(keep, use):
    network = Net(keep, use).eval()
    with pytest.raises(LayerError, match="goes around it"):
        cut(network, after="tanh", inputs=X)
    points = cut_points(network, inputs=X)
    assert "a" in points
    for layer in points:
        front, end = cut(network, after=layer, inputs=X)
        z, expected = front(X), network(X)
        front(-X)
        assert torch.equal(end(z), expected), layer


def counted(self, h):
    self.count += 1


def averaged(self, h):
    self.memory[0].mul_(0.9).add_(0.1 * h.mean(0))


def replaced(self, h):
    before, self.last = self.last, h.mean()
    return 0 if before is None else before


@torch.no_grad()
@pytest.mark.parametrize(
    ("keep", "use"),
    [
        (counted, lambda self, h, kept: self.count),
        (averaged, lambda self, h, kept: self.memory[0]),
        (replaced, lambda self, h, kept: kept),
    ],
    ids=["count", "average", "last"],
)
@pytest.mark.parametrize("x", [X, torch.zeros(3, 4)], ids=["numbers", "zeros"])
def test_an_output_that_depends_on_earlier_batches_is_refused(keep, use, x):
    network = Net(keep, use).eval()
    front, _ = cut(network, after="a", inputs=X)
    with pytest.raises(LayerError, match="Net gives something else the second time, for it keeps"):
        front(x)
    ignored = Net(keep, lambda self, h, kept: 0).eval()
    front, end = cut(ignored, after="tanh", inputs=X)
    assert torch.equal(end(front(x)), ignored(x))


@torch.no_grad()
def test_weights_of_one_step_that_the_network_writes_into_are_refused():
    network = Net(lambda self, h: self.d.bias.data.copy_(h.mean(0)), lambda self, h, kept: 0).eval()
    with pytest.raises(LayerError, match="it writes into weights of 'd' while it runs"):
        cut(network, after="a", inputs=X)


class Add(torch.autograd.Function):
    """Adds what it has kept of the call before."""

    kept = None

    @staticmethod
    def forward(ctx, x):
        before, Add.kept = Add.kept, x
        return x if before is None else x + before


def test_a_function_with_its_own_gradient_that_keeps_tensors_is_refused():
    network = Net(lambda self, h: Add.apply(h), lambda self, h, kept: Add.apply(h)).eval()
    with pytest.raises(LayerError, match="Add uses a tensor that it is not given"):
        cut(network, after="Add", inputs=X)
    Add.kept = None


def depends_on_values(self, h):
    return h * 2 if h.abs().max() > 1e9 else h


def test_halves_that_run_their_network_again_do_so_at_evaluation_alone():
    network = Net(depends_on_values, lambda self, h, kept: 0).eval()
    network.b = nn.Sequential(nn.BatchNorm1d(4))
    front, end = cut(network.train(), after="a", inputs=X)
    with pytest.raises(LayerError, match=r"'b\.0' is in training mode; call eval\(\) first"):
        front(X)
    network.eval()
    assert torch.equal(end(front(X)), network(X))


def test_halves_are_copied_with_weights_of_their_own_and_not_pickled():
    network = Net(lambda self, h: None, lambda self, h, kept: 0).eval()
    front, end = cut(network, after="a", inputs=X)
    with pytest.raises(LayerError, match="a half of a network cannot be pickled or saved"):
        pickle.dumps(end)
    expected = end(front(X)).detach()
    twin = copy.deepcopy(end)
    with torch.no_grad():
        twin.d.bias.add_(1)
    assert torch.equal(end(front(X)), expected)
    assert not torch.equal(twin(front(X)), expected)
    assert end.state_dict().keys() == {"b.weight", "b.bias", "d.weight", "d.bias"}
    with pytest.raises(LayerError, match="cannot be pickled"):
        pickle.dumps(front)
