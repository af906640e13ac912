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
from frankenstein.benchmark.stitched import (
    aim_at,
    fit_objective,
    least_squares,
    stitch_values,
    stitches_of,
)
from frankenstein.benchmark.table import TESTS
from frankenstein.catalog import MEASURES, OBJECTIVES
from frankenstein.stitches import Affine
from frankenstein.surgery import Cut, cut
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.key_layers import later_layers
from frankenstein.surgery.read import Reader
from frankenstein.tasks import Pass

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


@pytest.fixture
def deep(readings):
    """The same with two more layers behind the cut."""
    wide = {
        name: nn.Sequential(nn.Linear(D, D), nn.Linear(D, 6), nn.ReLU(), nn.Linear(6, 4))
        for name in "abc"
    }
    for network in wide.values():
        network.input_shape = (D,)
    ends = {name: cut(network, after="0")[1] for name, network in wide.items()}
    held = {name: network[0](readings.rows[name].fit).detach() for name, network in wide.items()}
    logits = {name: ends[name](z).detach() for name, z in held.items()}
    rows = {name: Rows(z, z) for name, z in held.items()}
    later = later_layers(next(iter(wide.values())), "0")
    return replace(readings, rows=rows, ends=ends, logits=logits, later=later)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "direct"])
def test_each_stitch_is_trained_as_if_alone_and_gets_better(deep, name):
    end, target, labels = deep.ends["c"], deep.rows["c"].fit, deep.labels
    sources = torch.stack([rows.fit for rows in deep.rows.values()])
    ((weight, bias),) = least_squares(sources, [target])
    aim = aim_at(name, deep.later)
    together = fit_objective(aim, end, sources, target, labels, weight, bias)
    one = sources[:1], target, labels, weight[:1], bias[:1]
    alone = fit_objective(aim, end, *one)
    torch.testing.assert_close(together[0][:1], alone[0], rtol=1e-3, atol=1e-4)
    (objective,) = aim.stages
    behind = Reader.of_end(end, [*aim.later, OUTPUT]) if aim.later else None

    def loss(a, b):
        known = {"stitched": sources[0] @ a[0] + b[0], "target": target}
        nothing = Cut(nn.Identity(), nn.Identity())
        return objective(
            Pass(known, labels, nothing, nn.Identity(), Cut(nothing.front, end), behind=behind)
        )

    assert loss(*together) < loss(weight, bias)


def test_every_objective_takes_part_where_layers_lie_behind_the_cut(deep, readings):
    every = ["stitch_direct", "stitch_task", "stitch_final_features", "stitch_latent_alignment"]
    assert sorted(every) == sorted(f"stitch_{name}" for name in OBJECTIVES)
    assert (stitches_of(deep.later), stitches_of(readings.later)) == (every, every[:2])
    found = compared(deep, TESTS["answers"].target, ["linear_cka"], "answers")
    assert rows_of(["linear_cka"], deep.later)[1:5] == every
    values = found.values[1:5, *np.triu_indices(3, 1)]
    assert not np.isnan(values).any()
    assert len(np.unique(values, axis=0)) == 4  # no two of them say the same


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
