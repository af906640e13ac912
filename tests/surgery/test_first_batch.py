"""What code may ask of a batch beside its values, and what a network may keep of a recording."""

import random
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from frankenstein.surgery import cut
from frankenstein.surgery.refusal import LayerError

X = torch.linspace(-1, 1, 16).reshape(4, 4)


class Net(nn.Module):
    """Two layers, and something between."""

    def __init__(self, between, **attributes):
        super().__init__()
        self.a, self.d = nn.Linear(4, 4), nn.Linear(4, 3)
        self.between = between
        vars(self).update(attributes)

    def forward(self, x, scale=1.0):
        return self.d(torch.tanh(self.between(self, self.a(x))) * scale)


def test_a_branch_on_a_batch_of_one_is_noticed():
    network = Net(lambda self, h: h - h.mean(0) if h.shape[0] > 1 else h)
    front, end = cut(network, after="d", inputs=X)
    assert torch.equal(end(front(X)), network(X))
    with pytest.raises(LayerError, match="do not give what it gives"):
        front(X[:1])


def test_a_branch_on_strides_is_noticed():
    network = Net(lambda self, h: h)
    network.forward = lambda x: network.d(network.a(x) * (2.0 if x.is_contiguous() else 3.0))
    front, _ = cut(network, after="a", inputs=X)
    front(X)
    with pytest.raises(LayerError, match="do not give what it gives"):
        front(X.T)


@pytest.mark.parametrize(
    "noise",
    [
        lambda self, h: F.dropout(h, 0.5),
        lambda self, h: h + torch.randn_like(h),
        lambda self, h: h * random.random(),
    ],
)
def test_random_numbers_at_evaluation_are_refused(noise):
    front, _ = cut(Net(noise), after="a", inputs=X)
    with pytest.raises(LayerError, match="draws random numbers at evaluation"):
        front(X)


def test_random_numbers_without_an_effect_are_none():
    network = Net(lambda self, h: h + 0 * torch.rand(()))
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))


def test_an_end_takes_no_other_flag():
    network = Net(lambda self, h: h)
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))
    with pytest.raises(LayerError, match=r"recorded with scale=1\.0, not 3\.0"):
        end(front(X), scale=3.0)


@pytest.mark.parametrize("value", [SimpleNamespace(alpha=2.0), {"deep": {"alpha": [2.0]}}, 2.0])
def test_a_setting_that_was_edited_is_recorded_anew(value):
    def alpha(self):
        one = self._settings
        return one["deep"]["alpha"][0] if isinstance(one, dict) else getattr(one, "alpha", one)

    network = Net(lambda self, h: h * alpha(self), _settings=value)
    cut(network, after="a", inputs=X)
    if isinstance(value, dict):
        value["deep"]["alpha"][0] = 5.0
    elif isinstance(value, float):
        network._settings = 5.0
    else:
        value.alpha = 5.0
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))


class Kept:
    everywhere: dict = {}  # noqa: RUF012

    def __init__(self):
        self.table = None


_FILE: dict = {}


@pytest.mark.parametrize("place", ["object", "class", "file", "deque"])
def test_a_table_that_is_made_when_it_is_first_needed_stays_the_networks(place):
    kept = Kept()
    owner = {"class": Kept.everywhere, "file": _FILE, "object": vars(kept), "deque": {}}[place]

    def scaled(self, h):
        if owner.get("table") is None:
            owner["table"] = torch.arange(4) + 1.0
        return h * owner["table"]

    network = Net(scaled, kept=kept, owner=[owner])
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))
    assert type(network(X)) is torch.Tensor


@pytest.mark.filterwarnings("ignore:.*not a leaf Tensor:UserWarning")
def test_weights_that_forward_replaces_are_the_networks_own_afterwards():
    network = Net(lambda self, h: h)

    def forward(x):
        network.d.weight.data = F.normalize(network.d.weight.data, dim=1)
        return network.d(network.a(x))

    network.forward = forward
    before = network.d.weight.detach().clone()
    front, end = cut(network, after="a", inputs=X)
    found = end(front(X))
    assert torch.equal(network.d.weight, before)
    assert torch.equal(found, network(X))


@torch.no_grad()
def test_an_end_that_is_told_the_length_notices_a_branch_on_it():
    network = Net(lambda self, h: h.mean(1))
    network.forward = lambda x, mask: (
        network.d(network.a(x).mean(1)) * (2 if mask.shape[1] > 4 else 1)
    )
    x, mask = torch.randn(3, 5, 4), torch.ones(3, 5, dtype=torch.long)
    front, end = cut(network, after="mean", inputs=(x, mask))
    z = front(x, mask)
    assert torch.equal(end(z, mask=mask), network(x, mask))
    with pytest.raises(LayerError, match=r"recorded for inputs of .*5.* and are others for .*3"):
        end(z, mask=mask[:, :3])
