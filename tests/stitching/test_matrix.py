import math

import pytest
import torch
from torch import nn

from frankenstein.accumulators.classes import ByClass
from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.errors import UserError
from frankenstein.intervals import mean_and_margin
from frankenstein.shapes import ShapeError, per_location
from frankenstein.stitches import Affine, Orthogonal
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.matrix.page import _which
from frankenstein.stitching.matrix.pair_moments import PairMoments, Resize
from frankenstein.stitching.matrix.solve import pair_moments, score_stitches, stitching_matrix
from frankenstein.surgery import LayerError, join
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.layer_set import layer_set
from frankenstein.zoo import build_network

LAYERS = ("bn1", "relu2")  # (4, 6, 6) and (6, 2, 2)


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


@pytest.fixture
def batches():
    sizes = (16, 16, 5)
    return [(torch.randn(n, 1, 8, 8), torch.randint(10, (n,))) for n in sizes]


def laid_moments(joint, batches):
    moments = Moments()
    with torch.no_grad():
        for images, _ in batches:
            source = joint.align(joint.sender.front(images))
            moments.update(source, joint.receiver.front(images))
    return moments


@pytest.mark.parametrize("sender_layer", LAYERS)
@pytest.mark.parametrize("receiver_layer", LAYERS)
def test_sums_shared_by_all_pairs_are_those_of_each_pair(
    pair, batches, sender_layer, receiver_layer
):
    sets = [layer_set(network, LAYERS) for network in pair]
    found = pair_moments(*sets, batches).moments(sender_layer, receiver_layer)
    expected = laid_moments(join(*pair, sender_layer, receiver_layer), batches)
    assert found.n == expected.n
    for side in "xy":
        torch.testing.assert_close(found.mean(side), expected.mean(side), rtol=1e-6, atol=1e-6)
    for both in ("xx", "xy", "yy"):
        torch.testing.assert_close(
            found.covariance(both), expected.covariance(both), rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("sender_layer", LAYERS)
@pytest.mark.parametrize("receiver_layer", LAYERS)
def test_sums_within_classes_are_those_of_each_pair(pair, batches, sender_layer, receiver_layer):
    sets = [layer_set(network, LAYERS) for network in pair]
    found = pair_moments(*sets, batches).within(sender_layer, receiver_layer)
    joint, kept = join(*pair, sender_layer, receiver_layer), ByClass(per_location)
    with torch.no_grad():
        for images, labels in batches:
            source = joint.align(joint.sender.front(images))
            kept.update(source.double(), joint.receiver.front(images).double(), labels)
    expected = kept.frozen().moments
    for both in ("xx", "xy", "yy"):
        mine, theirs = found.moments.covariance(both), expected.covariance(both)
        torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


def test_sums_on_one_grid_are_exact(pair, batches):
    found = pair_moments(*(layer_set(n, LAYERS) for n in pair), batches).moments("bn1", "bn1")
    expected = laid_moments(join(*pair, "bn1", "bn1"), batches)
    for both in ("xx", "xy", "yy"):
        torch.testing.assert_close(
            found.covariance(both), expected.covariance(both), rtol=1e-12, atol=1e-12
        )


def test_every_cell_is_that_of_its_stitch_alone(pair, batches):
    matrix = stitching_matrix(*pair, batches, batches, LAYERS, LAYERS)
    for s in LAYERS:
        for t in LAYERS:
            joint = join(*pair, s, t)
            moments = laid_moments(joint, batches)
            stitch = Affine(joint.source.units, joint.target.units).solve(moments)
            stitch = nn.Sequential(joint.align, stitch)
            alone = evaluate_stitches(joint.sender, joint.receiver, {"it": stitch}, batches)
            assert matrix.accuracy[s, t] == pytest.approx(alone["accuracy/it"], abs=1e-12)
            assert matrix.agreement[s, t] == pytest.approx(alone["agreement/it"], abs=1e-12)
            assert matrix.sender == pytest.approx(alone["accuracy/sender"], abs=1e-12)
            assert matrix.receiver == pytest.approx(alone["accuracy/receiver"], abs=1e-12)
    assert len(set(matrix.agreement.values())) > 1


@pytest.mark.parametrize("family", ["mlp", "conv3x3"])
def test_a_stitch_of_more_than_an_affine_map_goes_behind_the_resize(pair, batches, family):
    sides = [layer_set(network, LAYERS) for network in pair]
    laid, joint = PairMoments(*(one.layouts for one in sides)), join(*pair, "relu2", "bn1")
    stitch = STITCHES[family](6, 4)
    assert stitch.affine == STITCHES[family].affine
    with torch.no_grad():
        for parameter in stitch.parameters():
            parameter.normal_(std=3, generator=torch.Generator().manual_seed(0))
    found = score_stitches(*sides, laid, {("relu2", "bn1"): stitch}, batches)
    whole = nn.Sequential(joint.align, stitch)
    alone = evaluate_stitches(joint.sender, joint.receiver, {"it": whole}, batches)
    assert found.agreement["relu2", "bn1"] == alone["agreement/it"]
    assert found.accuracy["relu2", "bn1"] == alone["accuracy/it"]


def test_the_identity_hands_on_a_source_that_no_end_overwrites(small_network, batches):
    network = small_network(0)
    sides = [layer_set(network, ("bn1", "relu1", "relu2")).folded()] * 2
    laid = PairMoments(*(one.layouts for one in sides))
    stitches = {("bn1", t): STITCHES["identity"](4, 4) for t in ("bn1", "relu1")}
    stitches |= {("relu1", "bn1"): STITCHES["identity"](4, 4)}
    together = score_stitches(*sides, laid, stitches, batches)
    assert together.agreement["bn1", "bn1"] == together.agreement["relu1", "bn1"] == 1
    for pair, stitch in stitches.items():
        alone = score_stitches(*sides, laid, {pair: stitch}, batches)
        assert together.agreement[pair] == alone.agreement[pair]


def test_a_network_stitched_to_itself_agrees_with_itself_on_the_diagonal(pair, batches):
    matrix = stitching_matrix(pair[0], pair[0], batches, batches, LAYERS, LAYERS)
    assert matrix.agreement["bn1", "bn1"] == 1
    assert matrix.measures["linear_cka"]["bn1", "bn1"] == pytest.approx(1)
    table = matrix.table(matrix.accuracy)
    assert table.shape == (2, 2)
    assert table[0, 0] == matrix.receiver


def test_each_network_is_read_once_a_batch_and_pass(pair, batches):
    ours, theirs = (layer_set(network, LAYERS) for network in pair)
    happened = []
    for side, network in zip(("sender", "receiver"), pair, strict=True):
        network.conv1.register_forward_hook(lambda *_, side=side: happened.append(side))
    pair_moments(ours, theirs, iter(batches))
    assert happened.count("sender") == happened.count("receiver") == len(batches)


def test_pairs_that_cannot_be_stitched_are_left_out_with_the_reason(pair, batches):
    layers = ("bn1", "flatten")
    matrix = stitching_matrix(*pair, batches, batches, layers, layers, make=Orthogonal)
    assert set(matrix.accuracy) == {("bn1", "bn1"), ("flatten", "flatten")}
    assert "as many target units as source units" in matrix.refused["bn1", "flatten"]
    assert "the source is a vector" in matrix.refused["flatten", "bn1"]
    assert math.isnan(matrix.table(matrix.accuracy)[0, 1])
    with pytest.raises(UserError, match="no pair of layers can be stitched: the source is a vec"):
        stitching_matrix(*pair, batches, batches, ["flatten"], ["bn1"])
    with pytest.raises(LayerError, match="has no layer 'bn3'"):
        stitching_matrix(*pair, batches, batches, ["bn3"])
    with pytest.raises(UserError, match="unbiased_cka needs more than the sums that a matrix"):
        stitching_matrix(*pair, batches, batches, LAYERS, LAYERS, measures=["unbiased_cka"])
    with pytest.raises(UserError, match="no examples were given"):
        stitching_matrix(*pair, [], batches, LAYERS, LAYERS)
    with pytest.raises(UserError, match="no examples were given to score"):
        stitching_matrix(*pair, batches, [], LAYERS, LAYERS)


@pytest.mark.parametrize(("source", "target"), [((6, 5), (3, 4)), ((2, 3), (7, 7))])
def test_a_resize_is_that_of_interpolate_and_its_adjoint_is_one(source, target):
    resize = Resize.between(source, target)
    z, y = torch.randn(2, 3, *source).double(), torch.randn(2, 3, *target).double()
    expected = nn.functional.interpolate(z, target, mode="bilinear", antialias=True)
    torch.testing.assert_close(resize(z), expected)
    torch.testing.assert_close((resize(z) * y).sum(), (z * resize.adjoint(y)).sum())
    torch.testing.assert_close(resize.gram(z), resize.adjoint(resize(z)))


def test_key_layers_are_one_for_each_layer_or_block_behind_its_normalisation():
    expected = {
        "tiny10": tuple(f"bn{i}" for i in range(1, 9)),
        "lenet": ("conv1", "conv2", "fc1", "fc2"),
        "mlp": ("fc1", "fc2"),
    }
    for name, layers in expected.items():
        assert key_layers(build_network(name, 10, 1)) == layers
    assert key_layers(build_network("resnet20_w1", 10, 1))[:2] == ("bn1", "layer1.0.add")


def test_flattened_layers_are_stitched_from_place_to_place(pair, batches):
    ours, theirs = (layer_set(network, ["relu2"], flatten=True) for network in pair)
    assert ours.layouts["relu2"].units == 24
    joint = join(*pair, "relu2", "relu2", flatten=True)
    found = pair_moments(ours, theirs, batches).moments("relu2", "relu2")
    expected = laid_moments(joint, batches)
    torch.testing.assert_close(found.covariance("xy"), expected.covariance("xy"))


def test_the_margin_is_that_of_the_t_distribution():
    mean, margin = mean_and_margin([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3
    assert margin == pytest.approx(2.776445 * math.sqrt(2.5 / 5), rel=1e-6)  # t table, 4 degrees
    assert math.isnan(mean_and_margin([0.5])[1])
    with pytest.raises(UserError, match="at least one value"):
        mean_and_margin([])


def test_moments_of_layers_that_do_not_fit_are_refused(pair):
    sets = [layer_set(network, ("bn1", "flatten")) for network in pair]
    with pytest.raises(ShapeError, match="the source is a vector"):
        pair_moments(*sets, []).lay("flatten", "bn1")


def test_stitches_above_their_control_are_named_where_they_or_the_others_are_few():
    pairs = [(s, t) for s in "abc" for t in "xyz"]
    assert _which(pairs[:2], pairs) == " Above it: a to x, a to y."
    assert _which(pairs[:8], pairs) == " Not above it: c to z."
    assert _which(pairs, pairs) == _which([], pairs) == ""
    many = [(str(s), str(t)) for s in range(6) for t in range(6)]
    assert _which(many[:18], many) == ""
