"""Networks as people write them: each of these once gave wrong numbers, or none, in silence."""

import copy
import functools
import gc
import io

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from frankenstein.surgery import LayerError, capture, cut, cut_points
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.read import reading
from frankenstein.surgery.record import record


class Net(nn.Module):
    """Two layers, and what a subclass does before, between and behind."""

    input_shape = (6,)

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(self.a(x).relu())


class Option(Net):
    def forward(self, x, opt=None):
        h = self.a(x)
        if opt is not None:
            h = h * 2
        return self.b(h)


class Checks(Net):
    def forward(self, x):
        known = isinstance(x, torch.Tensor) and torch.is_tensor(x) and not hasattr(x, "node")
        return self.b(self.a(x if known else -x))


class Sizes(Net):
    def forward(self, x):
        n = x.size(0)
        return self.b(self.a(x).view(n, -1).relu())


class Flags(Net):
    def forward(self, x, is_feat=False, embed=False):
        h = self.a(x).relu()
        return (h, self.b(h)) if is_feat else h if embed else self.b(h)


class Keeps(Net):
    """Keeps its last activations, in places of several kinds, and counts."""

    def __init__(self):
        super().__init__()
        self.kept, self.calls, self.last = {}, [], None
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        self.last = h = self.a(x)
        self.kept["h"] = h
        self.calls.append(h)
        self.steps += 1
        return self.b(h)


class Counts(Net):
    """Does something else every other time."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return self.b(self.a(x) * (1 if self.calls % 2 else -1))


@functools.lru_cache
def table(size):
    return torch.arange(float(size))


class Caches(Net):
    def forward(self, x):
        return self.b(self.a(x) + table(8))


class Stops(Net):
    """Lets no gradient through one of its ways."""

    def forward(self, x):
        h = self.a(x)
        with torch.no_grad():
            gate = h.exp()
        return self.b(h * gate)


class Flip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class Reversed(Net):
    """A function whose gradient is not that of what it computes."""

    def forward(self, x):
        return self.b(Flip.apply(self.a(x)))


class Writes(Net):
    """Writes into parts of tensors, by every way there is."""

    def forward(self, x):
        h = self.a(x)
        kept = h
        h[:, 0] = 1
        h[:, 1:3] += x[:, :2]
        torch.mul(h, 2, out=h) if not torch.is_grad_enabled() else h.mul_(2)
        F.relu(h.view(-1, 4, 2)[:, 0], inplace=True)
        return self.b(kept + h)


NETS = [Option, Checks, Sizes, Flags, Keeps, Caches, Stops, Reversed, Writes]


def check_halves(network, x, *layers):
    expected = network(x.clone())
    for layer in layers or cut_points(network):
        front, end = cut(network, after=layer)
        z = front(x)
        kept = z.clone()
        assert torch.equal(end(z), expected), layer
        assert torch.equal(z, kept), layer


@torch.no_grad()
@pytest.mark.parametrize("build", NETS)
def test_the_halves_are_the_network_whatever_its_code_asks(build):
    network = build().eval()
    before = set(vars(network))
    assert {"a", "b"} & cut_points(network).keys()
    assert key_layers(network)
    check_halves(network, torch.randn(5, 6))
    assert set(vars(network)) == before
    torch.save(network, io.BytesIO())
    copy.deepcopy(network)


@pytest.mark.parametrize("build", [Keeps, Stops, Reversed, Net])
def test_gradients_are_those_of_the_network(build):
    network, x = build().eval(), torch.randn(5, 6)
    network(x).square().sum().backward()
    expected = {name: p.grad.clone() for name, p in network.named_parameters()}
    for layer in cut_points(network):
        network.zero_grad()
        front, end = cut(network, layer)
        end(front(x)).square().sum().backward()
        for name, p in network.named_parameters():
            assert torch.equal(p.grad, expected[name]), (layer, name)


def test_what_a_network_keeps_is_as_it_was_even_after_an_error():
    network = Keeps().train()
    network.b.eval()
    cut(network, "a").front(torch.randn(2, 6))
    assert network.kept == {}
    assert network.calls == []
    assert network.last is None
    assert network.steps == 0
    network.b = nn.Linear(9, 3)
    network.b.eval()
    with pytest.raises(LayerError, match="does not take"):
        cut(network, "a")
    assert network.calls == []
    assert (network.training, network.a.training, network.b.training) == (True, True, False)


def test_nothing_of_the_recording_stays_in_a_cache():
    table.cache_clear()
    network = Caches().eval()
    record(network)
    gc.collect()
    assert type(table(8)) is torch.Tensor
    assert torch.equal(network(x := torch.ones(1, 6)), network.b(network.a(x) + torch.arange(8.0)))


def test_recording_that_is_not_the_network_is_found_on_the_first_batch():
    network, x = Counts().eval(), torch.randn(4, 6)
    network.calls = 1
    front = cut(network, "a").front
    network.calls = 2
    with pytest.raises(LayerError, match=r"Counts gives something else the second time"):
        front(x)
    network = Counts().eval()
    with reading(network, ["a"]) as read:
        network.calls = 1  # behind the reader's back
        assert torch.equal(read(x)["a"], network.a(x))


def test_a_network_is_recorded_once_until_it_is_edited():
    network = Net().eval()
    first = record(network)
    assert record(network, torch.randn(7, 6)) is first
    network.b = nn.Linear(8, 5)
    second = record(network)
    assert second is not first
    assert cut(network, "a").end(torch.randn(2, 8)).shape == (2, 5)
    handle = network.a.register_forward_hook(lambda module, given, out: out * 0)
    assert not cut(network, "a").front(torch.ones(2, 6)).any()
    handle.remove()
    assert cut(network, "a").front(torch.ones(2, 6)).any()


def test_flags_are_told_apart():
    network, x = Flags().eval(), torch.randn(2, 6)
    front, end = cut(network, "a", inputs={"x": x, "is_feat": True})
    for one, other in zip(end(front(x, is_feat=True)), network(x, is_feat=True), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(LayerError, match="recorded with is_feat=True, not False"):
        front(x)
    assert torch.equal(cut(network, "a", inputs=x).front(x), network.a(x))


def test_pre_hooks_of_the_network_are_honoured():
    network, x = Net().eval(), torch.randn(3, 6)
    network.register_forward_pre_hook(lambda module, given: (given[0] * 3,))
    check_halves(network, x)
    assert torch.equal(capture(network, ["a"])(x)["a"], network.a(x * 3))


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda network: torch.compile(network, backend="eager"),
        lambda network: nn.DataParallel(torch.compile(network, backend="eager")),
    ],
    ids=["parallel", "compiled", "both"],
)
def test_what_wraps_a_network_leaves_its_layers_their_names(wrap):
    network, x = Net().eval(), torch.randn(3, 6)
    wrapped = wrap(network)
    assert list(cut_points(wrapped)) == list(cut_points(network))
    front, end = cut(wrapped, "relu")
    assert torch.equal(end(front(x)), network(x))
    with reading(wrapped, "modules") as read:
        assert set(read(x)) == {"a", "b"}


@torch.no_grad()
def test_a_part_that_is_compiled_is_read_as_what_it_is():
    network, x = Net().eval(), torch.randn(3, 6)
    expected = network(x)
    network.a = torch.compile(network.a, backend="eager")
    network.b.compile(backend="eager")
    assert list(cut_points(network)) == ["a", "relu", "b"]
    front, end = cut(network, "a")
    assert torch.equal(end(front(x)), expected)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_what_has_no_code_is_refused_by_name():
    x = torch.randn(2, 6)
    with pytest.raises(LayerError, match=r"a module of torch\.jit"):
        cut(torch.jit.script(nn.Linear(6, 2)), "weight")
    with pytest.raises(LayerError, match="ExportedProgram cannot be cut or read; give the"):
        cut(torch.export.export(Net().eval(), (x,)), "a")
    with pytest.raises(LayerError, match="weights without a shape; run it once before"):
        cut(nn.Sequential(nn.LazyLinear(3)), "0")


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_part_that_is_a_script_is_cut_in_front_of_and_said_to_be_one():
    x = torch.randn(2, 6)
    network = nn.Sequential(nn.Linear(6, 4), torch.jit.script(nn.Linear(4, 2))).eval()
    front, end = cut(network, "0", inputs=x)
    assert torch.equal(end(front(x)), network(x))
    with pytest.raises(LayerError, match=r"it calls code of torch\.jit, whose steps cannot be rec"):
        cut_points(network, inputs=x)


class TwoInputs(Net):
    """A mask that is made of the inputs, and a number for each example."""

    input_shape = None

    def forward(self, ids, lengths, *, scale=1.0):
        mask = torch.arange(ids.shape[1], device=ids.device)[None] < lengths[:, None]
        h = self.a(F.one_hot(ids, 6).float()) * scale
        h = self.b((h * mask[..., None]).relu())
        return {"logits": (h * mask[..., None]).sum(1), "h": h}


def test_the_end_is_given_what_it_needs_and_says_what_it_misses():
    network = TwoInputs().eval()
    batch = {"ids": torch.randint(0, 6, (4, 7)), "lengths": torch.tensor([7, 3, 5, 1])}
    points = cut_points(network, inputs=batch)
    assert points["a"] == (7, 8)
    front, end = cut(network, "a", inputs=batch)
    for n, t in ((4, 7), (2, 9), (1, 3)):
        other = {"ids": torch.randint(0, 6, (n, t)), "lengths": torch.randint(1, t, (n,))}
        expected = network(**other)["logits"]
        z = front(**other)
        assert torch.equal(end(z, **other), expected)
        assert torch.equal(end(z, lengths=other["lengths"]), expected)
        assert torch.equal(end(z, *other.values()), expected)
    with pytest.raises(LayerError, match="behind 'a' also needs lengths: call end"):
        end(z)
    with pytest.raises(LayerError, match="does not take these inputs"):
        front(batch["ids"])
    # A second call without inputs knows what it was recorded with.
    assert cut_points(network) == points
    with reading(network, ["a", "b"]) as read:
        assert set(read(batch)) == {"a", "b"}


class Pictures(Net):
    """Loops over a second input, as networks of words and images do."""

    def forward(self, x, pictures):
        return self.b(self.a(x) * sum(one.mean() for one in pictures))


@torch.no_grad()
def test_a_batch_whose_size_a_second_input_fixes_has_steps_of_its_own():
    network = Pictures().eval()
    halves = cut(network, "a", inputs=(torch.randn(4, 6), torch.randn(4, 3)))
    for n in (4, 3, 1):
        x, pictures = torch.randn(n, 6), torch.randn(n, 3)
        found = halves.end(halves.front(x, pictures), pictures=pictures)
        assert torch.equal(found, network(x, pictures))


def test_a_network_of_which_nothing_is_known_is_read_from_its_first_batch():
    network = TwoInputs().eval()
    batch = {"ids": torch.randint(0, 6, (4, 7)), "lengths": torch.tensor([7, 3, 5, 1])}
    with pytest.raises(
        LayerError, match=r"missing a required argument: 'lengths'.*; give inputs= as"
    ):
        cut(network, "a")
    with reading(network, "modules") as read:
        assert read(batch)["a"].shape == (4, 7, 8)


class Depth(nn.Module):
    """Stops early where it is sure: its steps depend on values."""

    def __init__(self):
        super().__init__()
        self.layers, self.head = nn.ModuleList(nn.Linear(4, 4) for _ in range(3)), nn.Linear(4, 2)

    def forward(self, x, skip=None):
        for layer in self.layers:
            x = layer(x)
            if x.mean() > 0.2:
                break
        return self.head(x) if skip is None else self.head(x) + skip


@torch.no_grad()
def test_a_network_that_depends_on_values_is_cut_at_a_module_or_refused():
    network = Depth().eval()
    front, end = cut(network, "layers.0", inputs=torch.randn(4, 4))
    for n in (4, 2, 9):
        x = torch.randn(n, 4) * 3
        assert torch.equal(end(front(x)), network(x))
    with pytest.raises(LayerError, match=r"steps before that layer depend on values .*x\.mean"):
        cut(network, "layers.1", inputs=torch.randn(4, 4))
    with pytest.raises(LayerError, match=r"behind modules only, which 'mean' is not"):
        cut(network, "mean", inputs=torch.randn(4, 4))


def test_a_module_inside_of_one_step_says_so():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.Sequential(nn.Linear(4, 8), layer).eval()
    with pytest.raises(LayerError, match=r"inside of '1', an? TransformerEncoderLayer that is one"):
        cut(network, "1.linear1", inputs=torch.randn(2, 3, 4))


def test_a_half_refuses_sizes_that_it_was_not_made_for():
    class Fixed(Net):
        def forward(self, x):
            return self.b(self.a(x.view(x.shape[0], x.shape[1] // 6, 6)).mean(1))

    network = Fixed().eval()
    front, end = cut(network, "a", inputs=torch.randn(2, 12))
    assert front(torch.randn(5, 12)).shape == (5, 2, 8)
    with pytest.raises(LayerError, match="recorded for inputs of 12 and are others for 18"):
        front(torch.randn(2, 18))
    with pytest.raises(LayerError, match="takes a representation of N x 2 x 8, got 2 x 3 x 8"):
        end(torch.randn(2, 3, 8))
    assert cut(network, "a", inputs=torch.randn(2, 18)).front(torch.randn(4, 18)).shape == (4, 3, 8)


def test_an_encoder_that_packs_what_a_mask_leaves_is_told_how_not_to():
    class Masked(nn.Module):
        def __init__(self, **options):
            super().__init__()
            self.emb, layer = (
                nn.Embedding(9, 4),
                nn.TransformerEncoderLayer(4, 2, 4, batch_first=True),
            )
            self.enc = nn.TransformerEncoder(layer, 1, **options)

        def forward(self, ids):
            return self.enc(self.emb(ids), src_key_padding_mask=ids == 0).mean(1)

    ids = torch.tensor([[1, 2, 3], [4, 5, 0]])
    with torch.no_grad(), pytest.raises(LayerError, match="enable_nested_tensor=False"):
        cut_points(Masked().eval(), inputs=ids)
    with pytest.raises(LayerError, match="'emb': its steps behind that layer depend on values"):
        cut(Masked().eval(), after="emb", inputs=ids)
    assert "enc.layers.0" in cut_points(Masked(enable_nested_tensor=False).eval(), inputs=ids)
