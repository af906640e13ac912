"""Networks as people write them: each of these could be cut, and once was refused."""

import pytest
import torch
from torch import nn

from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.key_layers import activation_layers
from frankenstein.surgery.read import reading


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
