"""Networks as people write them: each of these could be cut, and once was refused."""

import copy
import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.surgery import LayerError, capture, cut, cut_points
from frankenstein.surgery.key_layers import activation_layers
from frankenstein.surgery.read import Reader, reading


class Net(nn.Module):
    """Three layers, and what a test does in its forward."""

    input_shape = (6,)

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def encode(self, x):
        return self.b(self.a(x).relu()).relu()

    def forward(self, x):
        return self.c(self.encode(x))


def check_halves(network, *batches):
    """Bit for bit, at every cut point, for every batch; the first one is what it is recorded with.

    What the end misses it is given with the whole batch.
    """
    network.eval()
    points = list(cut_points(network, inputs=batches[0]))
    for layer in points:
        front, end = cut(network, layer, inputs=batches[0])
        for batch in batches:
            given = batch if isinstance(batch, tuple) else (batch,)
            with torch.no_grad():
                expected, z = network(*given), front(*given)
                assert torch.equal(end(z, *given), expected), layer
    return points


class Frozen(Net):
    def forward(self, x):
        with torch.no_grad():
            h = self.encode(x)
        return self.c(h)


class Undifferentiated(Net):
    @torch.no_grad()
    def forward(self, x):
        return super().forward(x)


class Inference(Net):
    @torch.inference_mode()
    def forward(self, x):
        return super().forward(x)


@pytest.mark.parametrize("build", [Frozen, Undifferentiated, Inference])
def test_what_runs_without_gradients_is_cut_as_what_runs_with_them(build):
    network = build()
    points = check_halves(network, torch.randn(4, 6), torch.randn(2, 6), torch.randn(1, 6))
    assert points == ["a", "relu", "b", "relu_1", "c"]
    assert activation_layers(network) == ("relu", "relu_1")
    with reading(network, "modules") as read:
        assert set(read(torch.randn(2, 6))) == {"a", "b", "c"}


def test_behind_a_frozen_encoder_a_stitch_gets_gradients_and_inside_of_it_none():
    network, x = Frozen().eval(), torch.randn(4, 6)
    front, end = cut(network, "relu_1")
    z = front(x)
    assert not z.requires_grad
    end(z.requires_grad_()).sum().backward()
    assert torch.allclose(z.grad, network.c.weight.sum(0))
    inner = cut(network, "a").end(torch.randn(4, 8, requires_grad=True))
    (given,) = torch.autograd.grad(inner.sum(), network.c.bias)
    assert given.eq(4).all()
    assert not cut(network, "a").front(x).requires_grad


@dataclasses.dataclass(frozen=True)
class Answer:
    y: torch.Tensor
    past: object
    note: str = "a dataclass"


class Told(Net):
    """Gives an object that holds tensors, one of them deeper inside."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        h = self.a(x).relu()
        return {"found": [self.kind(y=self.c(self.b(h)), past=self.kind(y=h, past=None))]}


@torch.no_grad()
@pytest.mark.parametrize("kind", [Answer, SimpleNamespace])
def test_an_end_gives_objects_as_the_network_gives_them_and_what_is_in_them_leaks(kind):
    network, x = Told(kind).eval(), torch.randn(4, 6)
    assert list(cut_points(network)) == ["a", "relu"]
    front, end = cut(network, "a")
    (found,), (expected,) = end(front(x))["found"], network(x)["found"]
    assert type(found) is type(found.past) is kind
    assert torch.equal(found.y, expected.y)
    assert torch.equal(found.past.y, expected.past.y)
    assert vars(found).keys() == vars(expected).keys()


class KeyCache:
    def __init__(self, keys):
        self.keys = keys


@torch.no_grad()
def test_a_cache_for_the_next_call_is_no_answer():
    network = Told(lambda y, past: y).eval()
    network.forward = lambda x: (network.c(h := network.a(x)), KeyCache(h))
    network.c = nn.Linear(8, 3)
    x = torch.randn(4, 6)
    assert list(cut_points(network)) == ["a", "c"]
    front, end = cut(network, "a")
    assert torch.equal(end(front(x)), network(x)[0])


class Given(Net):
    def forward(self, batch):
        return self.c(self.b(self.a(batch.y)) * batch.past)


def test_an_object_may_be_what_a_network_takes():
    network = Given().eval()
    batches = [SimpleNamespace(y=torch.randn(n, 6), past=torch.rand(n, 1)) for n in (4, 2)]
    assert check_halves(network, *batches) == ["a", "b", "mul", "c"]


def plainly(forward):
    def inner(*args, **kwargs):
        return forward(*args, **kwargs)

    return inner


class Decorated(Net):
    @plainly
    def forward(self, x, gate):
        return self.c(self.b(self.a(x)) * gate)


class Spread(Net):
    def forward(self, *inputs):
        x, gate = inputs
        return self.c(self.b(self.a(x)) * gate)


@torch.no_grad()
def test_context_is_called_as_forward_calls_it():
    batch = {"x": torch.randn(4, 6), "gate": torch.rand(4, 1)}
    network = Decorated().eval()
    front, end = cut(network, "a", inputs=tuple(batch.values()))
    z, expected = front(**batch), network(**batch)
    assert torch.equal(end(z, **batch), expected)
    assert torch.equal(end(z, gate=batch["gate"]), expected)
    assert torch.equal(Reader.of_end(end, ["c"])(z, gate=batch["gate"])["c"], expected)
    with pytest.raises(LayerError, match=r"also needs gate: call end\(z, \*\*batch\)"):
        end(z)
    front, end = cut(Spread().eval(), "a", inputs=tuple(batch.values()))
    with pytest.raises(LayerError, match=r"also needs inputs_1: call end\(z, \*batch\)"):
        end(front(*batch.values()))


class Between(Net):
    """Does something of a test's between two layers."""

    def __init__(self, between):
        super().__init__()
        self.between = between
        self.temperature = nn.Parameter(torch.tensor(0.7))
        self.register_buffer("ready", torch.tensor(True))

    def forward(self, x):
        return self.c(self.b(self.between(self, self.a(x))))


@pytest.mark.parametrize(
    "number",
    [
        lambda n: 1 / n,
        lambda n: n**-0.5,
        lambda n: math.ceil(n / 2),
        lambda n: (n + 1) / 3,
    ],
)
def test_numbers_made_of_sizes_are_those_of_every_batch(number):
    network = Between(lambda self, h: h * number(h.shape[0]))
    batches = [torch.randn(n, 6) for n in (4, 2, 7, 1)]
    assert check_halves(network, *batches) == ["a", "mul", "b", "c"]


@torch.no_grad()
@pytest.mark.parametrize(
    "number",
    [
        lambda self: self.temperature.item(),
        lambda self: float(self.temperature) if self.ready else 3.0,
        lambda self: sum(self.a.bias.tolist()),
        lambda self: float(self.a.weight.detach().norm().numpy()),
    ],
)
def test_numbers_that_code_reads_out_of_weights_are_known_and_may_not_change(number):
    network, x = Between(lambda self, h: h * number(self)), torch.randn(4, 6)
    assert check_halves(network, x, torch.randn(1, 6)) == ["a", "mul", "b", "c"]
    front, end = cut(network, "a", inputs=x)
    z = front(x)
    for weight in (network.temperature, network.a.weight, network.a.bias):
        weight.data.mul_(2)
    with pytest.raises(LayerError, match=r"reads numbers out of its weights, .* are .*cut it"):
        end(z)
    check_halves(network, x)


@torch.no_grad()
def test_a_number_that_is_read_out_of_activations_is_a_step():
    network, x = Between(lambda self, h: h * h.mean().item()), torch.randn(4, 6)
    assert check_halves(network, x, torch.randn(2, 6)) == ["a", "mul", "b", "c"]


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
def test_what_has_no_graph_for_any_reason_is_cut_by_replay():
    class Padded(Net):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.b = nn.TransformerEncoder(layer, 1)

        def forward(self, x, pad):
            return self.c(self.b(self.a(x), src_key_padding_mask=pad))

    class Packed(Net):
        def __init__(self):
            super().__init__()
            self.b = nn.GRU(8, 8, batch_first=True)

        def forward(self, x, pad):
            h, lengths = self.a(x), (~pad).sum(1)
            packed = nn.utils.rnn.pack_padded_sequence(h, lengths, True, enforce_sorted=False)
            return self.c(self.b(packed)[1][-1])

    pad = torch.arange(5) >= torch.tensor([[5], [3], [4]])
    for network in (Padded().eval(), Packed().eval()):
        batch = (torch.randn(3, 5, 6), pad)
        front, end = cut(network, "a", inputs=batch)
        assert torch.equal(end(front(*batch), pad=pad), network(*batch))
        with pytest.raises(LayerError, match=r"depends on data|PackedSequence"):
            cut_points(network, inputs=batch)


@pytest.mark.parametrize(
    "number",
    [
        lambda n: math.sqrt(n),
        lambda n: float(n),
        lambda n: int(n) // 2,
        lambda n: np.sqrt(n),
        lambda n: torch.tensor(n),
        lambda n: max(n, 3),
        lambda n: 3 if n > 4 else -1,
    ],
)
def test_where_every_size_has_other_steps_there_are_halves_for_each(number):
    network = Between(lambda self, h: h * number(h.shape[0]))
    batches = [torch.randn(n, 6) for n in (5, 2, 7, 1)]
    assert check_halves(network, *batches) == ["a", "mul", "b", "c"]
    with torch.no_grad():
        found = capture(network, ["mul"], batches[0])
        for x in batches:
            assert torch.equal(found(x)["mul"], network.a(x) * number(len(x)))


def test_halves_for_each_size_are_copied_and_trained_as_others_are():
    network = Between(lambda self, h: h / math.sqrt(h.shape[0])).eval()
    front, end = cut(network, "a", inputs=torch.randn(5, 6))
    z = front(torch.randn(5, 6)).detach()
    other = copy.deepcopy(end)
    other(z).sum().backward()
    assert network.c.bias.grad is None
    end(z).sum().backward()
    assert network.c.bias.grad.eq(5).all()
    before = end(z)
    with torch.no_grad():
        for weight in other.parameters():
            weight.zero_()
    assert not other(z).any()
    assert not other(front(torch.randn(3, 6))).any()
    assert torch.equal(end(z), before)


class Graph(Net):
    """Features of nodes, and what joins them: a matrix, or a list of edges."""

    def forward(self, x, joins):
        if joins.is_floating_point():
            return self.c(joins @ self.b(joins @ self.a(x).relu()))
        start, stop = joins
        h = self.a(x)
        return self.c(torch.zeros_like(h).index_add(0, stop, h[start]))


@pytest.mark.parametrize("nodes", [7, 6])
def test_a_graph_of_any_size_is_taken_with_its_matrix(nodes):
    graphs = [(torch.randn(n, 6), torch.rand(n, n)) for n in (nodes, 4, 1)]
    assert check_halves(Graph(), *graphs) == ["a", "relu", "matmul", "b", "matmul_1", "c"]


def test_a_graph_of_any_size_is_taken_with_its_edges():
    graphs = [(torch.randn(n, 6), torch.randint(0, n, (2, 2 * n))) for n in (7, 4)]
    assert check_halves(Graph(), *graphs) == ["a", "index_add", "c"]


class Cell(Net):
    """Goes through a sequence, as long as it is, and gives its last state or the sum of all."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 6)

    def forward(self, ids):
        h = torch.zeros(len(ids), 8)
        for word in self.words(ids).unbind(1):
            h = torch.tanh(self.a(word) + self.b(h))
        return self.c(h) * float(ids.shape[1])


@torch.no_grad()
def test_an_end_that_is_another_one_for_every_length_is_told_the_length():
    network = Cell().eval()
    short, long = torch.randint(0, 9, (3, 4)), torch.randint(0, 9, (2, 6))
    front, end = cut(network, "words", inputs=short)
    for ids in (short, long):
        assert torch.equal(end(front(ids), ids), network(ids))
    with pytest.raises(LayerError, match="another one for every length and needs ids: call end"):
        end(front(long))
    last = cut(network, "tanh_3", inputs=short)
    assert torch.equal(last.end(last.front(short), short), network(short))
    with pytest.raises(LayerError, match="cannot cut Cell after 'tanh_3'"):
        last.front(long)


@torch.no_grad()
@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (lambda h: torch.vmap(torch.cumsum, (0, None))(h, 0), "as behind torch.vmap or torch.func"),
        (lambda h: h if torch.isfinite(h).all() else -h, "depends on data"),
    ],
)
def test_what_recording_does_not_see_is_cut_by_replay(between, reason):
    network, x = Between(lambda self, h: between(h)).eval(), torch.randn(4, 6)
    front, end = cut(network, "a", inputs=x)
    assert torch.equal(end(front(x)), network(x))
    with pytest.raises(LayerError, match=reason):
        cut_points(network, inputs=x)


@torch.no_grad()
def test_a_network_that_switches_autocast_on_is_cut_by_replay():
    def between(self, h):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.b(h).float()

    network, x = Between(between).eval(), torch.randn(4, 6)
    front, end = cut(network, "a", inputs=x)
    assert torch.equal(end(front(x)), network(x))
    with pytest.raises(LayerError, match="it switches autocast on"):
        cut_points(network, inputs=x)
