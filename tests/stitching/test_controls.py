from functools import partial

import pytest
import torch
from torch import nn

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.numbered import parts_of
from frankenstein.networks.accuracy import HITS
from frankenstein.stitches import Affine, LowRank, Matched, Orthogonal, Permutation, Sparse
from frankenstein.stitching.controls import CONTROLS, solve_controls
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.frauds import FRAUDS
from frankenstein.surgery import graft, join

ORDINARY = [  # those of every run
    row for row in CONTROLS if not row.startswith(FRAUDS) and not row.endswith("_trained")
]


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


@pytest.fixture
def untrained(small_network):
    return small_network(2)


@pytest.fixture
def batches():
    return [(torch.randn(n, 1, 8, 8), torch.randint(10, (n,))) for n in (30, 30, 15)]


def controls_of(pair, untrained, batches, every=1, layers=("relu1", "relu1")):
    joint = join(*pair, *layers)
    fresh = join(untrained, pair[1], *layers)
    fronts = fresh.sender.front, joint.receiver.front
    return joint, solve_controls(*fronts, fresh.align, batches, every=every)


def scores_of(pair, untrained, batches, every=1, layers=("relu1", "relu1")):
    joint, controls = controls_of(pair, untrained, batches, every, layers)
    stitch = Affine(joint.source.units, joint.target.units)
    stitches = {"it": nn.Sequential(joint.align, stitch)}
    cuts = joint.sender, joint.receiver
    measures = ["unbiased_cka", "mean_squared_distance"]
    return evaluate_stitches(*cuts, stitches, batches, measures, controls=controls)


def test_the_receiver_stitched_to_itself_is_the_receiver(pair, untrained, batches):
    scores = scores_of(pair, untrained, batches)
    for what in ("accuracy", "loss", "agreement", "cross_entropy", "outside", *HITS):
        assert scores[f"{what}/itself"] == scores[f"{what}/receiver"]
    assert scores["jensen_shannon/itself"] == scores["mean_squared_distance/itself"] == 0
    assert scores["relative_accuracy/itself"] == scores["agreement/itself"] == 1
    # By least squares the same but for float32's rounding.
    assert scores["agreement/itself_ps_inv"] == 1
    assert scores["jensen_shannon/itself_ps_inv"] < 1e-9
    assert scores["mean_squared_distance/itself_ps_inv"] < 1e-9


def test_the_untrained_control_is_least_squares_from_an_untrained_network(pair, untrained, batches):
    joint, controls = controls_of(pair, untrained, batches)
    fresh = join(untrained, pair[1], "relu1", "relu1")
    moments = Moments()
    with torch.no_grad():
        for images, _ in batches:
            moments.update(fresh.sender.front(images), joint.receiver.front(images))
        stitch = Affine(4, 4).solve(moments)
        network = graft(fresh.sender.front, stitch, joint.receiver.end)
        images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        hits = (network(images).argmax(1) == labels).double().mean().item()
    whose, route = controls.routes["untrained"]
    assert whose == "untrained"
    torch.testing.assert_close(route[1].weight, stitch.weight)
    assert scores_of(pair, untrained, batches)["accuracy/untrained"] == pytest.approx(hits)


FAMILIES = {
    "low_rank": partial(LowRank, rank=2),
    "sparse": partial(Sparse, l1=0.5),
    "orthogonal": Orthogonal,
    "permutation": Permutation,
    "matched": partial(Matched, rule="semi-match"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_untrained_control_is_of_the_family_of_the_stitch(pair, untrained, batches, family):
    fronts = join(untrained, pair[1], "relu1", "relu1")
    arguments = fronts.sender.front, fronts.receiver.front, fronts.align
    with torch.no_grad():
        moments = Moments()
        for images, _ in batches:
            moments.update(arguments[0](images), arguments[1](images))
    affine = solve_controls(*arguments, batches)
    controls = solve_controls(*arguments, batches, make=FAMILIES[family])
    assert set(controls.routes) == {*ORDINARY} - {"solved", "solved_ps_inv"}
    assert set(affine.routes) == {"untrained", "identity", "itself", "itself_ps_inv"}
    solved = FAMILIES[family](4, 4).solve(moments)
    expected = {"untrained": solved, "untrained_ps_inv": affine.routes["untrained"][1][1]}
    for name, stitch in expected.items():
        whose, route = controls.routes[name]
        assert whose == "untrained"
        for one, other in zip(route[1].affine_map(), stitch.affine_map(), strict=True):
            torch.testing.assert_close(one, other)
    if family == "low_rank":
        assert torch.linalg.matrix_rank(controls.routes["untrained"][1][1].affine_map()[0]) == 2


def test_the_solved_control_is_the_closed_form_of_the_family(pair, untrained, batches):
    joint = join(*pair, "relu1", "relu1")
    fronts = join(untrained, pair[1], "relu1", "relu1").sender.front, joint.receiver.front
    make = partial(LowRank, rank=2)
    controls = solve_controls(*fronts, joint.align, batches, make=make, sender=joint.sender.front)
    moments = Moments()
    with torch.no_grad():
        for images, _ in batches:
            moments.update(joint.sender.front(images), joint.receiver.front(images))
    whose, route = controls.routes["solved"]
    assert whose == "sender"
    expected = make(4, 4).solve(moments).affine_map()
    for one, other in zip(route[1].affine_map(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_identity_control_is_the_source_as_it_is(pair, untrained, batches):
    joint, _ = controls_of(pair, untrained, batches)
    images, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    with torch.no_grad():
        hits = joint.receiver.end(joint.sender.front(images)).argmax(1) == labels
    found = scores_of(pair, untrained, batches)["accuracy/identity"]
    assert found == pytest.approx(hits.double().mean().item())


def test_controls_of_layers_of_unlike_width_and_size_lack_the_identity(pair, untrained, batches):
    scores = scores_of(pair, untrained, batches, layers=("relu1", "relu2"))
    found = {key.partition("/")[2] for key in scores}
    absent = {"identity", "solved", "solved_ps_inv", "untrained_ps_inv"}
    assert found == {"sender", "receiver", "it", *ORDINARY} - absent


def test_controls_may_be_scored_on_a_sample_beside_the_stitches_on_it(pair, untrained, batches):
    every = scores_of(pair, untrained, batches, every=3)
    # One in three, wherever batches begin.
    drawn = parts_of(torch.arange(75), 3, 1) == 0
    some = [tuple(torch.cat(part)[drawn] for part in zip(*batches, strict=True))]
    joint, controls = controls_of(pair, untrained, batches)
    cuts = joint.sender, joint.receiver
    alone = evaluate_stitches(*cuts, {}, some, [], controls=controls)
    rows = {name: name for name in controls.routes} | {"receiver_sampled": "receiver"}
    for name, row in rows.items():
        for what in ("accuracy", "relative_accuracy", "loss", "jensen_shannon", "both_right", "n"):
            assert every[f"{what}/{name}"] == pytest.approx(alone[f"{what}/{row}"])
    assert every["n/it_sampled"] == every["n/untrained"] == 25
    everything = scores_of(pair, untrained, batches)
    assert every["accuracy/receiver"] == everything["accuracy/receiver"]
    assert every["outside/receiver"] == everything["outside/receiver"]
    assert not any("_sampled" in key for key in everything)


@pytest.mark.parametrize("order", ["sorted", "cycled", "shuffled"])
def test_a_sample_holds_all_classes_in_any_order_of_the_labels(order):
    labels = torch.arange(10).repeat(300)  # cycled: every tenth is of one class
    orders = {"sorted": labels.argsort(), "cycled": torch.arange(3000)}
    orders["shuffled"] = torch.randperm(3000, generator=torch.Generator().manual_seed(0))
    for every, seed in ((3, 1), (2, 2), (10, 1)):
        drawn = labels[orders[order]][parts_of(torch.arange(3000), every, seed) == 0]
        counts = drawn.bincount(minlength=10) * every / 300
        assert len(drawn) == 3000 // every
        assert counts.min() > 0.5
        assert counts.max() < 1.6


def test_stitches_are_scored_alike_with_controls_and_without(pair, untrained, batches):
    joint, controls = controls_of(pair, untrained, batches)
    arguments = joint.sender, joint.receiver, {"it": Affine(4, 4)}, batches
    without = evaluate_stitches(*arguments)
    scores = evaluate_stitches(*arguments, controls=controls)
    assert {key: scores[key] for key in without} == without
    beside = {key for key in scores if key.endswith("/it")} - set(without)
    assert beside == {"outside/it", "how_far/it"}


def test_controls_cost_one_more_front_a_batch(pair, untrained, batches, calls):
    joint, controls = controls_of(pair, untrained, batches)
    happened = calls(sender=pair[0].conv1, receiver=pair[1].conv1, untrained=untrained.conv1)
    cuts = joint.sender, joint.receiver
    evaluate_stitches(*cuts, {"it": Affine(4, 4)}, iter(batches), controls=controls)
    assert [happened.count(who) for who in ("sender", "receiver", "untrained")] == [3, 3, 3]


@pytest.mark.parametrize("family", FAMILIES)
def test_fed_the_trained_sender_the_control_gives_the_trained_answer(pair, batches, family):
    joint = join(*pair, "relu1", "relu1")
    fronts = joint.sender.front, joint.receiver.front
    make = FAMILIES[family]
    controls = solve_controls(*fronts, joint.align, batches, make=make, sender=joint.sender.front)
    cuts = joint.sender, joint.receiver
    stitches, measures = {"it": Affine(4, 4)}, ["linear_cka"]
    scores = evaluate_stitches(*cuts, stitches, batches, measures, controls=controls)
    for row in ("untrained", "untrained_ps_inv"):
        for what in ("accuracy", "accuracy_low", "loss", "linear_cka", "outside"):
            trained = scores[f"{what}/{row.replace('untrained', 'solved')}"]
            assert scores[f"{what}/{row}"] == pytest.approx(trained, rel=1e-6)


def test_several_untrained_senders_are_one_row_with_a_mean_and_a_spread(
    pair, batches, small_network
):
    joint = join(*pair, "relu1", "relu1")
    twins = [
        join(small_network(seed), pair[1], "relu1", "relu1").sender.front for seed in (2, 3, 4)
    ]
    cuts, measures = (joint.sender, joint.receiver), ["linear_cka"]

    def scores(untrained):
        controls = solve_controls(untrained, joint.receiver.front, joint.align, batches)
        stitches = {"it": Affine(4, 4)}
        return evaluate_stitches(*cuts, stitches, batches, measures, controls=controls)

    alone = [scores(twin) for twin in twins]
    together = scores(twins)
    assert {key for key in together if "_spread/" not in key} == set(alone[0])
    for what in ("accuracy", "loss", "linear_cka", "outside", "stitching_penalty"):
        values = torch.tensor([one[f"{what}/untrained"] for one in alone], dtype=torch.float64)
        assert together[f"{what}/untrained"] == pytest.approx(values.mean().item())
        assert together[f"{what}_spread/untrained"] == pytest.approx(values.std().item(), abs=1e-9)
    for end, furthest in (("low", min), ("high", max)):
        key = f"accuracy_{end}/untrained"
        assert together[key] == furthest(one[key] for one in alone)
    assert together["accuracy/itself"] == alone[0]["accuracy/itself"]


def test_stitches_may_be_solved_on_other_images_than_the_receiver_is_known_from(
    pair, untrained, batches
):
    joint = join(*pair, "relu1", "relu1")
    fronts = join(untrained, pair[1], "relu1", "relu1").sender.front, joint.receiver.front
    few = batches[:1]
    both = solve_controls(*fronts, joint.align, batches, solving_batches=few)
    alone = solve_controls(*fronts, joint.align, few)
    every = solve_controls(*fronts, joint.align, batches)
    for name, route in both.routes.items():
        for mine, theirs in zip(
            route.through.state_dict().values(),
            alone.routes[name].through.state_dict().values(),
            strict=True,
        ):
            assert torch.equal(mine, theirs)
    assert torch.equal(both.reference.mean, every.reference.mean)
    assert (both.solved_on, both.reference.examples) == (30, 75)
