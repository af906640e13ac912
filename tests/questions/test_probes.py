import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from frankenstein.errors import UserError
from frankenstein.questions.probes.carried import carry_directions, carry_probe
from frankenstein.questions.probes.readout import probe_layers, read_elsewhere
from frankenstein.shapes import ShapeError


def blobs(n, classes=4, units=6, apart=2.0, seed=0):
    """Rows around a centre for each class, and two units that say nothing."""
    draw = torch.Generator().manual_seed(9)
    centres = apart * torch.randn(classes, units, generator=draw)
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=draw)
    rows = centres[labels] + torch.randn(n, units, generator=draw)
    return torch.cat([100 * rows, torch.zeros(n, 2)], 1), labels


def test_a_linear_probe_is_logistic_regression_of_standardised_units():
    (x, labels), (y, others) = blobs(300, apart=0.7), blobs(200, apart=0.7, seed=1)
    found = probe_layers({"a": x}, labels, {"a": y}, others, seeds=[3])["a"]
    half = np.random.default_rng(3).permutation(300)[:150]
    mean, std = x[half].double().mean(0), x[half].double().std(0, correction=0)
    scaled = [((z.double() - mean) / std.where(std > 0, 1)).numpy() for z in (x[half], y)]
    reference = LogisticRegression(max_iter=1000).fit(scaled[0], labels[half])
    assert found.accuracy == [reference.score(scaled[1], others)]


def test_a_probe_reads_other_rows_as_it_does_its_own():
    (x, labels), (y, others) = blobs(300, apart=0.7), blobs(200, apart=0.7, seed=1)
    own = probe_layers({"a": x}, labels, {"a": y}, others)["a"].accuracy
    assert read_elsewhere(x, labels, [y, y[:, :1].expand_as(y)], others)[0] == own


def test_a_probe_is_carried_over_a_planted_map_and_over_none_is_lost():
    (x, labels), (y, others) = blobs(600), blobs(400, seed=1)
    x, y = x[:, :6] / 100, y[:, :6] / 100
    own = read_elsewhere(x, labels, [y], others)[0]
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    rotated = carry_probe((x, y), (x @ turn + 3, y @ turn + 3), (labels, others))
    assert rotated.reverse == rotated.rotated == rotated.inverted == own
    assert max(rotated.raw) < 0.7
    stretched = torch.linspace(0.01, 1, 6)
    mixed = carry_probe((x, y), (x * stretched @ turn, y * stretched @ turn), (labels, others))
    assert mixed.reverse == own
    assert max(mixed.rotated) < min(own)


def test_the_reverse_map_is_least_squares_from_receiver_to_sender_and_inverting_loses():
    (x, labels), (y, others) = blobs(600), blobs(400, seed=1)
    x, y = x[:, :6] / 100, y[:, :6] / 100
    noise = torch.Generator().manual_seed(5)
    wide = torch.randn(6, 9, generator=noise)
    theirs = [z @ wide + torch.randn(len(z), 9, generator=noise) for z in (x, y)]
    found = carry_probe((x, y), tuple(theirs), (labels, others))
    known = np.c_[theirs[0].double().numpy(), np.ones(600)]
    weights = np.linalg.lstsq(known, x.double().numpy(), rcond=None)[0]
    brought = torch.tensor(np.c_[theirs[1].double().numpy(), np.ones(400)] @ weights)
    assert found.reverse == read_elsewhere(x, labels, [brought], others)[0]
    assert (found.rotated, found.raw) == ([], [])


def test_directions_are_carried_and_scored_as_the_area_under_the_curve():
    (x, labels), (y, others) = blobs(300, apart=0.5), blobs(200, apart=0.5, seed=1)
    x, y = x[:, :6] / 100, y[:, :6] / 100
    turn = torch.linalg.qr(torch.randn(6, 6))[0]
    found = carry_directions((x, y), (x @ turn + 3, y @ turn + 3), (labels, others))
    x, y, labels, others = (part.numpy() for part in (x.double(), y.double(), labels, others))
    areas = []
    for c in range(4):
        along = y @ (x[labels == c].mean(0) - x[labels != c].mean(0))
        more = along[others == c][:, None] - along[others != c]
        areas.append((more > 0).mean() + (more == 0).mean() / 2)
    for way in ("own", "reverse", "rotated", "inverted"):
        assert found[way] == pytest.approx(np.mean(areas), abs=1e-4)
    assert found["raw"] < found["own"]


def test_what_is_there_is_read_and_random_labels_are_chance_on_held_out_examples():
    (x, labels), (y, others) = blobs(600), blobs(2000, seed=1)
    for hidden in (None, 16):
        found = probe_layers({"a": x}, labels, {"a": y}, others, hidden)["a"]
        assert min(found.accuracy) > 0.9
        assert np.mean(found.control_held_out) == pytest.approx(0.25, abs=0.03)
        assert found.selectivity == pytest.approx(
            [a - b for a, b in zip(found.accuracy, found.control, strict=True)]
        )


def test_a_layer_of_noise_holds_no_labels_but_many_units_learn_them_by_heart():
    x, y = torch.randn(100, 80), torch.randn(400, 80)
    labels, others = torch.randint(4, (100,)), torch.randint(4, (400,))
    found = probe_layers({"a": x}, labels, {"a": y}, others)["a"]
    assert np.mean(found.accuracy) == pytest.approx(0.25, abs=0.06)
    assert min(found.control) > 0.95
    assert max(found.selectivity) < -0.5


def test_only_a_hidden_layer_reads_what_is_not_linear():
    def exclusive_or(n, seed):
        x = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
        return x, (x[:, 0] * x[:, 1] > 0).long()

    (x, labels), (y, others) = exclusive_or(600, 0), exclusive_or(500, 1)
    linear = probe_layers({"a": x}, labels, {"a": y}, others)["a"]
    hidden = probe_layers({"a": x}, labels, {"a": y}, others, hidden=16)["a"]
    assert max(linear.accuracy) < 0.7
    assert min(hidden.accuracy) > 0.9


def test_layers_come_in_order_and_one_value_per_seed():
    x, labels = blobs(80)
    rows = {"b": x, "a": x[:, :3]}
    found = probe_layers(rows, labels, rows, labels, seeds=range(4), control=False)
    assert list(found) == ["b", "a"]
    assert [len(one) for one in found["a"]] == [4, 0, 0]
    assert probe_layers(rows, labels, rows, labels, seeds=range(4), control=False) == found


def test_several_labels_per_example_each_count():
    x, labels = blobs(400, apart=4.0)
    several = torch.stack([labels % 2, labels // 2, torch.ones_like(labels)], 1).float()
    found = probe_layers({"a": x}, several, {"a": x}, several)["a"]
    assert min(found.accuracy) > 0.95


def test_what_is_no_label_is_refused():
    x, labels = blobs(20)
    with pytest.raises(UserError, match=r"bin a quantity first, as torch\.bucketize does"):
        probe_layers({"a": x}, x[:, 0], {"a": x}, x[:, 0])
    with pytest.raises(UserError, match="every label is the same"):
        probe_layers({"a": x}, 0 * labels, {"a": x}, labels)
    with pytest.raises(ShapeError, match="must hold the same examples"):
        probe_layers({"a": x}, labels[:5], {"a": x}, labels)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (torch.zeros(20, 3, 2, 2), r"a probe reads units \(N, C\), got \(20, 3, 2, 2\) in 'a'"),
        (torch.full((20, 3), torch.nan), "NaN or Inf in 'a'; look at the network that made it"),
    ],
)
def test_maps_and_nan_are_refused_with_the_layer_that_holds_them(rows, told):
    labels = torch.arange(20) % 2
    with pytest.raises(UserError, match=told):
        probe_layers({"a": rows}, labels, {"a": rows}, labels)
