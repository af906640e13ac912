import pytest
import torch
from torch import nn

from frankenstein.questions.merging.loss_line import LossLine, loss_line
from frankenstein.questions.merging.merge import (
    interpolate,
    parent_moments,
    renormalize,
)
from frankenstein.questions.merging.unit_orders import orders_by_activations
from frankenstein.surgery import capture, find_streams, permute
from frankenstein.zoo import build_network


def images(count=64, size=8):
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(1))


def batches(x):
    return [(part, torch.zeros(len(part), dtype=torch.int64)) for part in x.split(32)]


def check_same(one, other, x, tolerance=1e-4):
    with torch.no_grad():
        assert (one(x) - other(x)).abs().max() < tolerance * other(x).abs().max()


def test_the_line_starts_at_one_network_and_ends_at_the_other(small_network):
    one, other = small_network(0), small_network(1)
    check_same(interpolate(one, other, 0.0), one, images())
    check_same(interpolate(one, other, 1.0), other, images())
    middle = interpolate(one, other)
    assert torch.allclose(middle.fc.weight, (one.fc.weight + other.fc.weight) / 2)
    assert torch.allclose(middle.bn1.running_var, (one.bn1.running_var + other.bn1.running_var) / 2)


def test_a_network_merged_with_itself_in_another_order_is_itself_once_matched(small_network):
    network = small_network(0)
    streams = find_streams(network)
    shuffled = permute(
        network, {s: torch.arange(streams.units[s]).flip(0) for s in streams.movable}
    )
    x = images()
    matched = permute(shuffled, orders_by_activations(shuffled, network, batches(x)))
    check_same(interpolate(matched, network), network, x)
    with torch.no_grad():
        unmatched = interpolate(shuffled, network)(x)
    assert (unmatched - network(x)).abs().max() > 0.1


@pytest.mark.parametrize("name", ["lenet", "nbn_tiny10"])
def test_units_without_batchnorm_get_the_mean_and_deviation_between_those_of_both(name):
    one, other = (build_network(name, init_seed=seed).eval() for seed in (0, 1))
    x = images(96, 32)
    share = 0.25
    merged = renormalize(
        interpolate(one, other, share), parent_moments(one, other, batches(x)), share, x
    )
    layer = "conv2"
    ones, others, mergeds = (
        capture(network, [layer])(x)[layer].transpose(0, 1).flatten(1).double()
        for network in (one, other, merged)
    )
    for statistic in (torch.mean, torch.std):
        expected = torch.lerp(statistic(ones, 1), statistic(others, 1), share)
        assert torch.allclose(statistic(mergeds, 1), expected, rtol=0.02, atol=2e-3)
    assert [*merged.state_dict()] == [*one.state_dict()]


def test_a_network_without_batchnorm_repaired_between_itself_and_itself_is_itself():
    network = build_network("lenet", init_seed=0).eval()
    x = images(200, 32)
    moments = parent_moments(network, network, [(x, x)])
    merged = renormalize(interpolate(network, network), moments, 0.5, x)
    check_same(merged, network, x, tolerance=1e-5)


def test_the_barrier_is_what_lies_above_the_line_between_the_ends():
    line = LossLine((0.0, 0.5, 1.0), {"held-out": (1.0, 5.0, 3.0)}, {})
    assert line.barrier("held-out") == 3.0
    assert LossLine((0.0, 0.5, 1.0), {"train": (1.0, 1.0, 3.0)}, {}).barrier("train") == 0.0


def test_a_line_is_scored_on_every_part_at_every_share(small_network):
    one, other = small_network(0), small_network(1)
    x = images()
    labels = one(x).argmax(1)
    parts = {"train": [(x, labels)], "held-out": [(x[:10], labels[:10])]}
    line = loss_line(lambda share: interpolate(one, other, share), [0.0, 0.5, 1.0], parts)
    assert line.accuracy["train"][0] == line.accuracy["held-out"][0] == 1.0
    expected = nn.functional.cross_entropy(other(x), labels).detach()
    assert line.loss["train"][2] == pytest.approx(float(expected), rel=1e-5)
