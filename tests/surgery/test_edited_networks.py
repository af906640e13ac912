"""A network that is edited after it was cut: halves follow, or say so; a new cut is of what is."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.surgery import LayerError, cut
from frankenstein.surgery.marks import marks_of

X = torch.linspace(-1, 1, 12).reshape(3, 4)
TABLE = torch.ones(4)
TABLES = {"deep": [torch.ones(4)]}
SCALE = 1.0
OPTIONS = {"scales": [1.0, 2.0]}
NUMBERS = np.ones(2)


def scaled(h):
    return h * OPTIONS["scales"][0] * float(NUMBERS[0])


class Net(nn.Module):
    """Reads a tensor from somewhere."""

    of_the_class = torch.ones(4)
    factor = 1.0

    def __init__(self, read=None):
        super().__init__()
        self.a, self.d = nn.Linear(4, 4), nn.Linear(4, 3)
        self.plain, self.settings = torch.ones(4), SimpleNamespace(table=torch.ones(4))
        self.weight = nn.Parameter(torch.ones(4))
        self.register_buffer("buffer", torch.ones(4))
        self.read = read

    def between(self, h):
        return self.read(self, h) if self.read else h

    def forward(self, x):
        return self.d(self.between(self.a(x)).tanh())


def equal(halves, network, x=X):
    return torch.equal(halves.end(halves.front(x)), network(x))


PLACES = {
    "plain": lambda self, h: h * self.plain,
    "settings.table": lambda self, h: h * self.settings.table,
    "Net.of_the_class": lambda self, h: h * self.of_the_class,
    "read.TABLE": lambda self, h: h * TABLE,
    "read.TABLES.deep.0": lambda self, h: h * TABLES["deep"][0],
    "weight": lambda self, h: h * self.weight,
    "buffer": lambda self, h: h * self.buffer,
}


def replace(place, network, patch):
    *owner, name = place.split(".")
    holders = {"": network, "settings": network.settings, "Net": Net}
    new = torch.full((4,), 3.0)
    if place == "read.TABLES.deep.0":
        patch.setitem(TABLES, "deep", [new])
    elif place == "read.TABLE":
        patch.setitem(globals(), "TABLE", new)
    elif place == "weight":
        network.weight = nn.Parameter(new)
    else:
        patch.setattr(holders["".join(owner)], name, new)


@torch.no_grad()
@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_that_was_replaced_is_named_and_a_new_cut_has_it(place, monkeypatch):
    network = Net(PLACES[place]).eval()
    halves = cut(network, after="a", inputs=X)
    assert equal(halves, network)
    replace(place, network, monkeypatch)
    with pytest.raises(LayerError, match=f"another '{place}' than when it was cut; cut it again"):
        equal(halves, network)
    with pytest.raises(LayerError, match="cut it again"):
        halves.end(network.a(X))
    assert equal(cut(network, after="a", inputs=X), network)


@torch.no_grad()
def test_a_module_that_was_replaced_is_named():
    network = Net().eval()
    halves = cut(network, after="a", inputs=X)
    assert equal(halves, network)
    network.d = nn.Linear(4, 2)
    with pytest.raises(LayerError, match="another 'd' than when it was cut; cut it again"):
        equal(halves, network)
    assert equal(cut(network, after="a", inputs=X), network)


@torch.no_grad()
def test_a_tensor_that_is_written_into_is_followed():
    network = Net(PLACES["plain"]).eval()
    halves = cut(network, after="a", inputs=X)
    assert equal(halves, network)
    network.plain.mul_(3)
    assert equal(halves, network)


@torch.no_grad()
def test_settings_of_a_class_a_file_and_a_closure_are_noticed_by_the_next_cut(monkeypatch):
    factor = 1.0

    def read(self, h):
        return h * SCALE * self.factor * factor

    network = Net(read).eval()
    assert equal(cut(network, after="a", inputs=X), network)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert equal(cut(network, after="a", inputs=X), network)
    monkeypatch.setattr(Net, "factor", 3.0)
    assert equal(cut(network, after="a", inputs=X), network)
    factor = 4.0
    assert equal(cut(network, after="a", inputs=X), network)
    monkeypatch.setattr(Net, "between", lambda self, h: -h)
    assert equal(cut(network, after="a", inputs=X), network)


class Doubles(nn.Linear):
    by = 2.0

    def forward(self, x):
        return super().forward(x) * self.by


@torch.no_grad()
def test_a_class_that_came_with_a_new_module_is_looked_at_from_then_on(monkeypatch):
    network = Net().eval()
    assert equal(cut(network, after="a", inputs=X), network)
    network.d = Doubles(4, 3)
    assert equal(cut(network, after="a", inputs=X), network)
    monkeypatch.setattr(Doubles, "by", 5.0)
    assert equal(cut(network, after="a", inputs=X), network)


EDITS = {
    "a number": lambda network: setattr(network, "by", 2.0),
    "its type": lambda network: setattr(network, "by", True),
    "a list": lambda network: network.many.__setitem__(0, 7.0),
    "a longer list": lambda network: network.many.insert(0, 9.0),
    "a list moved": lambda network: vars(network).update(many=network.more, more=network.many),
    "a new name": lambda network: setattr(network, "extra", None),
    "another name": lambda network: vars(network).update(extra=vars(network).pop("nothing")),
    "a hook": lambda network: network.a.register_forward_hook(lambda *_: None),
    "a hook of its own": lambda network: network.register_forward_pre_hook(lambda *_: None),
    "a buffer": lambda network: network.register_buffer("other", torch.ones(2)),
    "no buffer": lambda network: setattr(network, "buffer", None),
    "a precision": lambda network: network.d.double(),
    "a module": lambda network: network.add_module("e", nn.ReLU()),
}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_is_another_mark_and_none_is_the_same_one(edit):
    network = Net().eval()
    network.by, network.many, network.more, network.nothing = 1.0, [1.0, 2.0], [3.0], None
    before = marks_of(network)
    network.train().eval()
    network.a.train()
    network.by = float("1.0")
    assert marks_of(network) == before
    assert marks_of(network) is marks_of(network)
    EDITS[edit](network)
    assert marks_of(network) != before


class Helped(Net):
    """Its methods call a function, which reads what its file holds."""

    def between(self, h):
        return scaled(h)


@torch.no_grad()
def test_what_functions_of_a_class_read_is_noticed_however_deep_it_lies(monkeypatch):
    network = Helped().eval()
    assert equal(cut(network, after="a", inputs=X), network)
    OPTIONS["scales"][1:] = []
    assert equal(cut(network, after="a", inputs=X), network)
    OPTIONS["scales"][0] = 2.0
    assert equal(cut(network, after="a", inputs=X), network)
    monkeypatch.setitem(OPTIONS, "scales", [5.0])
    assert equal(cut(network, after="a", inputs=X), network)
    NUMBERS[0] = 3.0
    assert equal(cut(network, after="a", inputs=X), network)
    NUMBERS[0] = 1.0
    monkeypatch.setattr(scaled, "__code__", (lambda h: h - 1).__code__)
    assert equal(cut(network, after="a", inputs=X), network)


@torch.no_grad()
def test_another_precision_is_followed_or_refused():
    network, x = Net().eval(), X.double()
    halves = cut(network, after="a", inputs=X)
    assert equal(halves, network)
    network.double()
    assert equal(halves, network, x)
    fixed = Net(lambda self, h: h + torch.full((4,), 0.1, dtype=h.dtype)).eval()
    for alone in (False, True):
        front, end = cut(fixed.float(), after="a", inputs=X)
        assert torch.equal(end(front(X)), fixed(X))
        fixed.double()
        with pytest.raises(LayerError, match="recorded steps of Net do not give what it gives"):
            end(fixed.a(x) if alone else front(x))


@torch.no_grad()
def test_another_precision_is_followed_where_code_makes_numbers_of_the_batch_size():
    network = Net(lambda self, h: h / math.sqrt(len(h))).eval()
    front, end = cut(network, after="a", inputs=X)
    assert torch.equal(end(front(X)), network(X))
    network.double()
    assert torch.equal(end(front(X.double())), network(X.double()))
    assert torch.equal(end(network.a(X[:2].double())), network(X[:2].double()))


@torch.no_grad()
@pytest.mark.parametrize("first", ["end", "halves"])
def test_a_branch_on_autocast_is_noticed_by_the_end_alone(first):
    network = Net(lambda self, h: h * 2 if torch.is_autocast_enabled("cpu") else h).eval()
    halves = cut(network, after="a", inputs=X)
    assert first == "end" or equal(halves, network)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(LayerError, match="recorded steps of Net do not give what it gives"),
    ):
        halves.end(network.a(X))
