"""Rules of shape against the modules that they stand for, run on tensors without data."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.fakes import Fakes
from frankenstein.surgery.in_shape import call_in_shape, in_shape

INPUTS = {
    "vectors": torch.randn(2, 6),
    "tokens": torch.randn(2, 4, 6),
    "turned": torch.randn(2, 6, 4).transpose(1, 2),
    "doubles": torch.randn(2, 4, 6).double(),
    "numbers": torch.ones(2, 4, 6, dtype=torch.long),
    "short": torch.randn(2, 4, 5),
    "maps": torch.randn(2, 3, 8, 6),
    "narrow": torch.randn(2, 3, 1, 6),
    "channels last": torch.randn(2, 3, 8, 6).to(memory_format=torch.channels_last),
}
VECTORS, MAPS = ("vectors", "turned", "doubles", "numbers", "short"), ("maps", "narrow", "tokens")
CASES = [
    (nn.Linear(6, 5), VECTORS),
    (nn.Linear(6, 5, bias=False), ("tokens", "maps")),
    (nn.LayerNorm(6), VECTORS),
    (nn.LayerNorm((4, 6), elementwise_affine=False), ("tokens", "turned", "vectors")),
    (nn.BatchNorm2d(3), MAPS),
    (nn.BatchNorm2d(3, affine=False), ("maps", "channels last")),
    (nn.BatchNorm2d(3, track_running_stats=False), ("maps",)),
    (nn.Conv2d(3, 6, 3, stride=2, padding=(1, 2), dilation=2), (*MAPS, "channels last")),
    (nn.Conv2d(3, 6, (2, 3), groups=3, bias=False), MAPS),
    (nn.Conv2d(3, 6, 3, padding="same"), ("maps",)),
    (nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect"), ("maps",)),
    (nn.GELU(), ("tokens", "turned", "doubles", "numbers")),
    (nn.ReLU(inplace=True), ("turned", "maps")),
    (nn.Hardswish(inplace=True), ("tokens",)),
    (nn.GRU(6, 5, batch_first=True), ("tokens",)),
    (nn.LSTM(6, 5, bidirectional=True), ("tokens",)),
]


def outcome(run, x):
    """What is known of what a module gives for a fake of a batch of any size, or that it fails."""
    fakes = Fakes()
    fake = fakes.of(x, "x", {0} if x.ndim else ())
    before = fake._version
    with fakes.running():
        try:
            out = run(fake)
        except Exception:
            return "an error"
        out = out[0] if isinstance(out, tuple) else out
        known = (*map(str, out.shape), *map(str, out.stride()), out.dtype, out.device)
        return known, out is fake, fake._version > before


@pytest.mark.parametrize(("module", "inputs"), CASES, ids=lambda one: str(one)[:30])
def test_a_rule_says_what_the_module_gives(module, inputs):
    module.eval()
    for name in inputs:
        x = INPUTS[name]
        assert outcome(lambda x: in_shape(module, x), x) == outcome(module, x), name


W, B = torch.randn(6, 5), torch.randn(5)
CALLS = [
    (functional.layer_norm, lambda x: (x, (6,)), VECTORS),
    (functional.layer_norm, lambda x: (x, (6,), torch.ones(6), torch.zeros(6)), VECTORS),
    (functional.layer_norm, lambda x: (x, (4, 6)), ("tokens", "turned", "vectors")),
    (functional.gelu, lambda x: (x,), (*VECTORS, "channels last", "narrow")),
    (torch.relu, lambda x: (x,), ("numbers", "channels last", "turned")),
    (functional.relu, lambda x: (x, True), ("tokens",)),
    (torch.addmm, lambda x: (B, x, W), ("vectors", "tokens")),
    (torch.addmm, lambda x: (B, x, W[:, :4]), ("vectors",)),
    (Tensor.view, lambda x: (x, -1, 6), ("tokens", "turned", "maps")),
    (Tensor.view, lambda x: (x, x.shape[0], 2, 2, -1), ("tokens", "maps")),
    (Tensor.view, lambda x: (x, (*x.shape[:-1], 2, 3)), ("tokens", "vectors", "turned", "short")),
    (Tensor.view, lambda x: (x, x.shape[0] * 4, 6), ("tokens",)),
    (Tensor.view, lambda x: (x, x.shape[0], -1, 5), ("tokens", "short")),
    (Tensor.view, lambda x: (x, torch.int32), ("tokens",)),
    (Tensor.reshape, lambda x: (x, x.shape[0], -1), ("tokens", "turned", "channels last", "maps")),
    (Tensor.reshape, lambda x: (x, -1), ("tokens", "vectors")),
    (Tensor.reshape, lambda x: (x, x.shape[0], 7, -1), ("tokens",)),
]


@pytest.mark.parametrize(("function", "given", "inputs"), CALLS)
def test_a_rule_says_what_the_function_gives(function, given, inputs):
    for name in inputs:
        x = INPUTS[name]
        rule = outcome(lambda x: call_in_shape(function, given(x), {}), x)
        assert rule == outcome(lambda x: function(*given(x)), x), name


def test_a_view_by_rule_is_written_through():
    fakes = Fakes()
    x = fakes.of(torch.randn(2, 6), "x", {0})
    with fakes.running():
        view = call_in_shape(Tensor.view, (x, -1, 2, 3), {})
        before = x._version
        view.add_(1)
    assert x._version > before


def test_what_a_rule_gives_carries_gradients_and_can_be_written_into():
    fakes = Fakes()
    x = fakes.of(torch.randn(2, 6), "x", {0})
    with fakes.running(), torch.enable_grad():
        out = in_shape(nn.Linear(6, 5), x)
        assert out.requires_grad
        out.add_(1)
        assert call_in_shape(functional.layer_norm, (out, (5,)), {}).requires_grad
    with fakes.running(), torch.no_grad():
        assert not in_shape(nn.Linear(6, 5), x).requires_grad


@torch.no_grad()
def test_an_unusual_module_is_run_itself():
    class Doubled(nn.Linear):
        def forward(self, x):
            return torch.cat([super().forward(x)] * 2, -1)

    normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
    hooked = nn.Linear(6, 6)
    hooked.register_forward_hook(lambda module, given, out: out * 2)
    hooked.weight.data = hooked.weight.data.t()
    network = nn.Sequential(Doubled(6, 3), normed, hooked, nn.Linear(6, 2)).eval()
    x = torch.randn(4, 6)
    assert cut_points(network, inputs=x)["2"] == (6,)
    for layer in cut_points(network, inputs=x):
        front, end = cut(network, layer, inputs=x)
        assert torch.equal(end(front(x)), network(x))
