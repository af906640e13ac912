"""Values of a benchmark are those of the measures themselves; stitches are solved and trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from frankenstein.accumulators.moments import Moments
from frankenstein.benchmark import compare
from frankenstein.benchmark.compare import between, compared, rows_of
from frankenstein.benchmark.grounded.class_noise import noise
from frankenstein.benchmark.grounded.moved_points import direction, moved
from frankenstein.benchmark.page import _controls
from frankenstein.benchmark.readings import Readings, Rows
from frankenstein.benchmark.scored import scored
from frankenstein.benchmark.stitched import fit_task, least_squares, stitch_values
from frankenstein.benchmark.table import TESTS
from frankenstein.catalog import MEASURES
from frankenstein.stitches import Affine

N, D = 60, 7


@pytest.fixture
def readings():
    """Three made-up networks on points of four classes."""
    labels = torch.arange(N) % 4
    centres = 3 * torch.randn(4, 5)
    points = centres[labels] + torch.randn(N, 5)
    ends = {name: nn.Linear(D, 4) for name in "abc"}
    held = {name: torch.relu(points @ torch.randn(5, D)) for name in "abc"}
    logits = {name: end(held[name]).detach() for name, end in ends.items()}
    rows = {name: Rows(z, z) for name, z in held.items()}
    groups = dict.fromkeys("abc", "standard")
    images = torch.randn(N, 1, 4, 4)
    return Readings({}, groups, "fc", rows, ends, {}, images, labels, labels, logits, 4)


def test_values_are_those_of_the_measures_larger_for_more_alike(readings):
    held = {name: rows.held for name, rows in readings.rows.items()}
    names = ["unbiased_cka", "pwcca", "angular_shape_distance", "mutual_knn"]
    names += ["within_class_unbiased_cka"]
    found = between(held, names, readings.inputs, readings.labels)
    x, y = held["a"].double(), held["c"].double()
    expected = [
        MEASURES["unbiased_cka"](x, y),
        (MEASURES["pwcca"](x, y) + MEASURES["pwcca"](y, x)) / 2,
    ]
    expected += [-MEASURES["angular_shape_distance"](x, y), MEASURES["mutual_knn"](x, y)]
    expected += [MEASURES["within_class_unbiased_cka"](x, y, readings.labels)]
    np.testing.assert_allclose(found[:, 0, 2], [float(one) for one in expected], rtol=1e-5)
    np.testing.assert_array_equal(found, found.swapaxes(1, 2))


def test_similarity_of_answers_is_at_the_top_of_what_is_grounded_in_answers(readings):
    test = TESTS["answers"].target
    found = compared(readings, test, ["linear_cka"], "answers")
    scores = scored(found, test.scores(found), rows_of(["linear_cka"]), 20)
    oracle = scores[0].rows.index("similarity_of_answers")
    assert scores[0].values[oracle] == pytest.approx(1)
    assert np.isnan(scores[0].ranks[oracle])
    assert "similarity of answers has 1.00 [1.00, 1.00], the best" in _controls(test, scores)


def test_pairs_that_are_known_are_not_measured_again(readings, monkeypatch):
    held = {name: rows.held for name, rows in readings.rows.items()}
    beside, known = (["linear_cka", "r_squared"], readings.inputs, readings.labels), {}
    two = between({name: held[name] for name in "ac"}, *beside, known=known)
    asked, measured = [], compare._measured
    monkeypatch.setattr(
        compare, "_measured", lambda *a: asked.append(({*a[1]}, {*a[2]})) or measured(*a)
    )
    three = between(held, *beside, known=known)
    # From the first network to the rest, and back for what is not symmetric.
    assert asked == [({"a"}, {"b"}), ({"b"}, {"a"}), ({"b"}, {"c"}), ({"c"}, {"b"})]
    np.testing.assert_array_equal(three[:, 0, 2], two[:, 0, 1])
    np.testing.assert_allclose(three, between(held, *beside), rtol=1e-12)


def test_a_new_measure_takes_part_by_its_row(readings, monkeypatch):
    row = replace(MEASURES["linear_cka"], perfect=0.0, range=(0.0, 1.0))
    monkeypatch.setitem(MEASURES, "mine", row)
    held = {name: rows.held for name, rows in readings.rows.items()}
    cka, mine = between(held, ["linear_cka", "mine"], readings.inputs, readings.labels)
    np.testing.assert_allclose(cka, -mine)


def test_direct_stitches_are_those_of_the_family(readings):
    a, b, c = (rows.fit for rows in readings.rows.values())
    b = b.clone()
    b[:, 2] = 0  # a dead unit
    ((weight, bias),) = least_squares(torch.stack([a, b]), [c])
    for i, x in enumerate((a, b)):
        stitch = Affine(D, D).solve(Moments.of_rows(x.double(), c.double()))
        ours = x @ weight[i] + bias[i]
        torch.testing.assert_close(ours, stitch(x).detach(), rtol=1e-4, atol=1e-4)


def test_each_stitch_is_trained_as_if_alone_and_gets_better(readings):
    end = readings.ends["c"]
    sources = torch.stack([rows.fit for rows in readings.rows.values()])
    ((weight, bias),) = least_squares(sources, [readings.rows["c"].fit])
    together = fit_task(end, sources, readings.labels, weight, bias)
    alone = fit_task(end, sources[:1], readings.labels, weight[:1], bias[:1])
    torch.testing.assert_close(together[0][:1], alone[0], rtol=1e-3, atol=1e-4)

    def loss(a, b):
        return nn.functional.cross_entropy(end(sources[0] @ a[0] + b[0]), readings.labels)

    assert loss(*together) < loss(weight, bias)


def test_a_network_before_its_own_end_has_no_penalty(readings):
    values = stitch_values(readings, readings.rows)
    assert values[0].diagonal().abs().max() < 1e-12
    grids = {name: Rows(z.fit[:, :, None], z.held[:, :, None]) for name, z in readings.rows.items()}
    assert stitch_values(readings, grids).isnan().all()


def test_a_class_that_is_moved_is_as_separable_and_the_same_inside(readings):
    x, labels = readings.rows["b"].fit, readings.labels
    other = moved(readings).rows["b"].fit  # the second network's second class
    inside = labels == 1
    torch.testing.assert_close(other[~inside], x[~inside], rtol=0, atol=0)
    shift = (other - x)[inside]
    torch.testing.assert_close(shift, direction(x, labels, 1).expand_as(shift), atol=1e-4, rtol=0)

    def right(z):
        z = torch.cat([z, torch.ones(N, 1)], 1).double()
        wanted = nn.functional.one_hot(labels).double()
        return (z @ torch.linalg.pinv(z) @ wanted).argmax(1) == labels

    assert right(other).double().mean() >= right(x).double().mean()
    held = {"x": x, "moved": other}
    (cka,) = between(held, ["linear_cka"], readings.inputs, labels)
    assert cka[0, 1] < 0.9


def test_class_noise_knows_the_class_alone(readings):
    source = noise(readings).rows["a"].held
    held = {"a": readings.rows["a"].held, "noise": source}
    names = ["unbiased_cka", "within_class_unbiased_cka"]
    whole, within = between(held, names, readings.inputs, readings.labels)[:, 0, 1]
    assert whole > 0.1
    assert abs(within) < 0.1
