"""Ordinary networks of many kinds: every cut is the network to the last bit, with its gradients."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from frankenstein.surgery import LayerError, cut, cut_points


class Net(nn.Module):
    """Two layers, and what a subclass does before, between and behind."""

    shape: tuple[int, ...] = (6,)
    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.b(self.between(self.a(x)))

    def between(self, h):
        return h


class Tied(Net):
    """Decodes with the weights it has encoded with."""

    def forward(self, x):
        return F.linear(self.a(x).relu(), self.a.weight.t(), bias=None)


class Nested(Net):
    def forward(self, x):
        h = self.a(x).relu()
        return {"out": {"heads": [self.b(h), self.b(h).softmax(-1)]}, "n": len(h.shape)}


class Passed(Net):
    def forward(self, *args, **kwargs):
        return self._go(*args, **kwargs)

    def _go(self, x, scale=2.0, **kwargs):
        return self.b(self.a(x) * scale)


class Routed(Net):
    def __init__(self):
        super().__init__()
        self.ways = nn.ModuleDict({"wide": nn.Linear(8, 8), "deep": nn.Tanh(), "off": nn.ReLU()})
        self.route = ["deep", "wide"]

    def between(self, h):
        for name in self.route:
            h = self.ways[name](h)
        return h


class Rearranged(Net):
    shape = (6, 6)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.a(x).reshape(b, t, 2, 4).permute(0, 2, 1, 3)
        h = torch.einsum("bhid,bhjd->bhij", q, q).softmax(-1) @ q
        h = h.transpose(1, 2).flatten(2).unflatten(1, (2, 3)).movedim(1, 2).reshape(b, t, -1)
        return self.b(h).mean(1)


class Fourier(Net):
    shape = (6, 6)

    def forward(self, x):
        h = self.a(x)
        f = torch.fft.rfft(h, dim=1)
        f = f * torch.view_as_complex(torch.stack([f.abs(), f.angle()], -1).contiguous())
        return self.b(torch.fft.irfft(f, n=x.size(1), dim=1))


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() < 1)


class Straight(Net):
    def between(self, h):
        return _Sign.apply(h) + h


class Scanned(Net):
    """Goes through time with a cell, an exponential mean beside it."""

    shape = (3, 6)

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(8, 8)

    def forward(self, x):
        h = x.new_zeros(len(x), 8)
        mean, outs = torch.zeros_like(h), []
        for step in self.a(x).unbind(1):
            h = self.cell(step, h)
            mean = torch.lerp(mean, h, 0.5)
            outs.append(mean)
        return self.b(torch.stack(outs, 1)[:, -1])


class Weighted(Net):
    def __init__(self):
        super().__init__()
        self.a = parametrizations.weight_norm(self.a)
        self.b = parametrizations.spectral_norm(self.b)


class OldWeighted(Net):
    def __init__(self):
        super().__init__()
        with pytest.warns(FutureWarning):
            self.a = nn.utils.weight_norm(self.a)


class Lora(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, 2, bias=False)
        self.up = nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x)) * 0.5


class Adapted(Net):
    def __init__(self):
        super().__init__()
        self.a = Lora(self.a)
        self.b = Lora(self.b)


class Quantised(Net):
    def __init__(self):
        super().__init__()
        self.quant, self.dequant = torch.ao.quantization.QuantStub(), nn.Identity()

    def forward(self, x):
        return self.dequant(super().forward(self.quant(x)))


class Packed(Net):
    shape = (5, 6)

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(8, 8, batch_first=True)

    def between(self, h):
        packed = pack_padded_sequence(h, torch.full((len(h),), 5), batch_first=True)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


class Recurrent(Net):
    """Changes the gradient of what a recurrent layer gives, where there is one."""

    shape = (5, 6)

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 8, batch_first=True)

    def between(self, h):
        out, (last, _) = self.rnn(h)
        if last.requires_grad:
            last.register_hook(lambda g: g * 2)
        return out + last[0][:, None]


class OtherWithGradients(Recurrent):
    def between(self, h):
        out = self.rnn(h)[0]
        return out * 2 if out.requires_grad else out


class Sliced(Net):
    def between(self, h):
        k = h.abs().sum().long() % 4
        return F.pad(h[:, : int(k) + 1], (0, 7 - int(k)))


class Normed(Net):
    shape = (4, 6)

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 8))

    def between(self, h):
        h = F.layer_norm(h, normalized_shape=(4, 8), weight=self.w)
        h = F.layer_norm(h.transpose(1, 2), h.shape[1:2]).transpose(1, 2)
        return F.layer_norm(h, [h.shape[-1]], None, torch.ones(8))


class Products(Net):
    """A linear layer as GPT-2 has it, called in every way."""

    def __init__(self):
        super().__init__()
        self.w, self.c = nn.Parameter(torch.randn(8, 8) / 3), nn.Parameter(torch.ones(8))

    def between(self, h):
        w, c = self.w, self.c
        h = torch.addmm(c, h, w)
        h = torch.addmm(h.mean(0), mat1=h, mat2=w)
        h = torch.addmm(input=c, mat1=h, mat2=w, beta=0.5)
        h = torch.addmm(h, h, w.t(), alpha=0.1)
        return torch.addmm(c[:1], h.t().contiguous().t(), w)


class Views(Net):
    shape = (4, 6)

    def between(self, h):
        n = h.shape[0]
        h = h.view(size=(n, -1)).reshape(shape=(n * 4, 8)).view(-1, 2, 2, 8)
        h = h.reshape(h.size(0), -1).view(torch.Size([-1, 4, 8])).view_as(h.view(n, 4, 8))
        h = h.view(torch.int32).view(torch.float32) if not h.requires_grad else h
        h = h.transpose(1, 2).reshape(n, -1).view(n, 8, 4).transpose(1, 2)
        return h.reshape([n, 4, 8])


class WrittenViews(Net):
    """Writes through views, and into what shares their memory."""

    shape = (4, 6)

    def between(self, h):
        h = torch.tanh(h) + 1
        flat = h.reshape(len(h), -1)
        flat[:, ::2] = 0
        h.view(-1, 8)[:, 0].add_(1)
        g = flat.view(h.shape).clone()
        g.transpose(1, 2).reshape(-1).mul_(3)  # of a copy
        return torch.sigmoid(g + h, out=None)


class InPlace(Net):
    def between(self, h):
        F.relu(h, inplace=True)
        h = F.silu(h.clone(), True) + 0
        g = F.gelu(h, approximate="tanh") + 0
        torch.relu_(g)
        return (g + 0).sigmoid_() + F.relu(input=h) + torch.tanh(input=h)


class Written(Net):
    """Gives its results a place."""

    def between(self, h):
        with torch.no_grad():
            place = torch.empty_like(h)
            torch.tanh(h, out=place)
            torch.add(place, 1, out=place)
        return h + place


class Empty(Net):
    def between(self, h):
        none = h[:, 3:3]
        none = torch.relu(none).view(len(h), 0).reshape(len(h), 0) + none.sigmoid()
        return torch.cat([torch.tanh(none), h], 1) + F.gelu(none).sum()


class Scalars(Net):
    def between(self, h):
        s = torch.relu(h.mean())
        s = torch.sigmoid(s.view(1).reshape(())).view(1, 1)
        return h * s.view(-1).reshape([1]) + torch.tanh(s).squeeze() + s.reshape(-1)[0]


class Wide(Net):
    def between(self, h):
        h = F.gelu(h[:, None].expand(-1, 3, -1))
        return torch.relu(h).sum(1) + torch.sigmoid(h[:, 0].T).T


class Half(Net):
    """Goes on in another precision."""

    def between(self, h):
        g = torch.tanh(h.half()) * torch.ones((), dtype=torch.float64)
        g = F.layer_norm(g.float(), (8,)).bfloat16() + g.view(-1, 8)
        return (g + torch.sigmoid(h.double()) if g.dtype == torch.bfloat16 else -g).float()


class Double(Net):
    dtype = torch.float64

    def __init__(self):
        super().__init__()
        self.double()


class Asks(Net):
    """Branches on what is known of a tensor."""

    def between(self, h):
        g = torch.relu(h)
        for asked in (
            g.requires_grad == h.requires_grad,
            g.is_contiguous(),
            g.view(-1, 2, 4).stride(-1) == 1,
            g.reshape(-1, 2, 4).data_ptr is None,
            g._is_view(),
            g.view(-1, 8)._is_view(),
            torch.tanh(g.view(-1, 2, 4).transpose(1, 2)).is_contiguous(),
            torch.result_type(g, 1.0) == torch.float32,
        ):
            h = torch.tanh(h) + 0.1 if asked else torch.sigmoid(h)
        return h


class Frozen(Net):
    def __init__(self):
        super().__init__()
        self.a.requires_grad_(False)

    def between(self, h):
        g = F.gelu(h)
        return g * 2 if g.requires_grad else g * 3


class Pruned(Net):
    """Its weights are fewer than its settings say."""

    def __init__(self):
        super().__init__()
        self.a.weight = nn.Parameter(self.a.weight[:5].detach().clone())
        self.a.bias = nn.Parameter(self.a.bias[:5].detach().clone())
        self.b.weight = nn.Parameter(self.b.weight[:, :5].detach().clone())

    def between(self, h):
        return h.view(h.shape[0], h.shape[1] // 5, 5).flatten(1)


class PrunedMaps(nn.Module):
    shape = (3, 6, 6)
    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(4), nn.Linear(16, 3)
        self.a.weight = nn.Parameter(self.a.weight[:4].detach().clone())
        self.a.bias = nn.Parameter(self.a.bias[:4].detach().clone())

    def forward(self, x):
        h = self.b(self.a(x))
        h = F.avg_pool2d(torch.relu(h), h.shape[1] // 2)
        return self.c(h.flatten(1))


class Maps(nn.Module):
    """Goes on channels last, and asks for strides."""

    shape = (3, 6, 6)
    dtype = torch.float32

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 1, 1), nn.Linear(16, 3)

    def forward(self, x):
        h = torch.relu(self.a(x.contiguous(memory_format=torch.channels_last)))
        h = h * 2 if h.is_contiguous(memory_format=torch.channels_last) else h
        h = self.b(torch.sigmoid(h))
        h = torch.tanh(h.reshape(len(h), -1))
        return self.c(h)


class Counting(Net):
    """Keeps a mean of what it saw, also at evaluation, and does not use it."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(8))

    def between(self, h):
        with torch.no_grad():
            self.mean.lerp_(h.mean(0), 0.1)
        return h.relu()


class Moving(Counting):
    """Uses it."""

    def between(self, h):
        return super().between(h) - self.mean


class Array(Net):
    def between(self, h):
        return h * float(h.detach().numpy().max())


class Derived(Net):
    def between(self, h):
        with torch.enable_grad():
            h = h.detach().requires_grad_()
            return h - torch.autograd.grad(self.b(h).square().sum(), h)[0]


class Named(Net):
    """Its parts are called as what every module of torch.fx has."""

    def __init__(self):
        super().__init__()
        self.graph, self.code = nn.Sequential(nn.Linear(8, 8), nn.ReLU()), nn.Linear(8, 8)
        self.recompile, self._code = nn.Parameter(torch.randn(8)), nn.Tanh()
        self.register_buffer("meta", torch.randn(8))

    def between(self, h):
        return self._code(self.code(self.graph(h)) * self.recompile + self.meta)


class Bags(Net):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(2, 8)

    def between(self, h):
        return self.bag((h > 0).long())


class Flow(Net):
    """Counts from a tensor of zeros, which is of the input's kind and no more."""

    def forward(self, x):
        h, count = self.a(x), x.new_zeros(len(x))
        return self.b(h).relu(), count + h.exp().sum(1), x.new_full((len(x), 1), 2)


class Distributed(Net):
    """Its distributions look at their parameters, if they are not told otherwise."""

    def between(self, h):
        return torch.distributions.Normal(h, h.exp()).entropy()


EXACT = [
    *(Tied, Nested, Passed, Routed, Rearranged, Fourier, Straight, Scanned, Weighted),
    *(OldWeighted, Adapted, Quantised, Recurrent, Normed, Products, Views, WrittenViews),
    *(InPlace, Written, Empty, Scalars, Wide, Half, Double, Asks, Frozen, Pruned, PrunedMaps),
    *(Maps, Counting, Named, Bags, Flow, Distributed),
]


def pieces(value):
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for one in value for x in pieces(one)] if isinstance(value, list | tuple) else []


def gradients(network, out):
    network.zero_grad()
    sum(x.square().sum() for x in pieces(out) if x.requires_grad).backward()
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("build", EXACT, ids=lambda one: one.__name__)
def test_every_cut_is_the_network(build):
    torch.manual_seed(0)
    network = build().eval()
    make = lambda n: torch.randn(n, *network.shape, dtype=network.dtype)  # noqa: E731
    state = copy.deepcopy(network.state_dict())
    points = cut_points(network, inputs=make(2))
    assert points
    for after in points:
        front, end = cut(network, after, inputs=make(2))
        for n in (3, 1):
            x = make(n)
            network.load_state_dict(state)
            expected = network(x.clone())
            wanted = gradients(network, expected)
            network.load_state_dict(state)
            given = x.clone()
            found = end(front(given))
            assert torch.equal(given, x)
            for one, other in zip(pieces(expected), pieces(found), strict=True):
                assert torch.equal(one, other), after
                assert (one.dtype, one.requires_grad) == (other.dtype, other.requires_grad)
            got = gradients(network, found)
            assert got.keys() == wanted.keys()
            assert all(torch.equal(got[name], wanted[name]) for name in got), after


@pytest.mark.parametrize(
    ("build", "last"), [(Bags, "bag"), (Flow, "a"), (Distributed, "add")], ids=str
)
def test_what_looks_like_a_leak_and_is_none(build, last):
    assert last in cut_points(build().eval(), inputs=torch.randn(2, 6))


def test_compiled_functions_run_as_they_are_written_while_they_are_recorded():
    def backend(module, inputs):
        def run(*args):
            assert not any(isinstance(x, FakeTensor) for x in args)  # its code would read memory
            return module(*args)

        return run

    class Compiled(Net):
        function = staticmethod(torch.compile(lambda h: h.relu() * 2, backend=backend))

        def between(self, h):
            return self.function(h)

    network, x = Compiled().eval(), torch.randn(3, 6)
    with torch.no_grad():
        assert [*cut_points(network, inputs=x)] == ["a", "relu", "mul", "b"]
        front, end = cut(network, "relu", inputs=x)
        assert torch.equal(end(front(x)), network(x))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (Sliced, ""),
        (Packed, ""),
        (Array, "it makes a NumPy array of a tensor"),
        (Derived, "it takes gradients while it runs"),
    ],
)
def test_what_cannot_be_recorded_is_cut_behind_a_module(build, reason):
    network = build().eval()
    with pytest.raises(LayerError, match=f"cannot follow {build.__name__} to its layers: {reason}"):
        cut_points(network, inputs=torch.randn(3, *network.shape))
    front, end = cut(network, "a", inputs=torch.randn(3, *network.shape))
    for n in (3, 5):
        x = torch.randn(n, *network.shape)
        assert torch.equal(end(front(x)), network(x))


@pytest.mark.parametrize(
    ("build", "reason"),
    [(Moving, "keeps 'mean' from the first"), (OtherWithGradients, "do not give what it gives")],
)
def test_what_is_not_the_network_is_refused(build, reason):
    network = build().eval()
    x = torch.randn(3, *network.shape)
    front, end = cut(network, "a", inputs=x)
    with pytest.raises(LayerError, match=reason):
        end(front(x))
