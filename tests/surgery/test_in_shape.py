"""Rules of shape against the modules that they stand for, run on tensors without data."""

import pytest
import torch
from torch import nn

from frankenstein.surgery import cut, cut_points
from frankenstein.surgery.fakes import Fakes
from frankenstein.surgery.in_shape import in_shape

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
