"""Stitches are followed from the cut to the logits."""

import pytest
import torch

from frankenstein.measures import unbiased_cka
from frankenstein.stitches import Affine, Identity
from frankenstein.stitching.depths import Explained, reader_behind
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.off_distribution import ReferenceSums, Share
from frankenstein.surgery import cut


def r_squared(x, y):
    """From the definition, in float64."""
    x, y = (z.double().movedim(1, -1).reshape(-1, z.shape[1]) for z in (x, y))
    return float(1 - ((x - y) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())


@pytest.mark.parametrize("shape", [(40, 3), (40, 3, 2, 2), (40, 5, 3)], ids=["vector", "map", "t"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_what_is_explained_is_one_less_error_over_variance_in_batches_of_any_size(shape, offset):
    y = torch.randn(shape).double() + offset
    x = y + 0.5 * torch.randn(shape).double() + 0.1
    sums = Explained()
    for part in torch.arange(40).split(7):
        sums.update(x[part], y[part])
    flat = (x.movedim(2, 1), y.movedim(2, 1)) if len(shape) == 3 else (x, y)
    assert sums.value() == pytest.approx(r_squared(*flat), abs=1e-9)


def test_the_mean_of_the_target_explains_nothing():
    y = torch.randn(50, 3) + 7
    sums = Explained()
    sums.update(y.mean(0).expand(50, -1), y)
    assert sums.value() == pytest.approx(0, abs=1e-6)


def test_a_target_that_does_not_vary_has_no_share_to_explain():
    sums = Explained()
    sums.update(torch.randn(9, 2), torch.full((9, 2), 0.1))
    assert sums.value() != sums.value()


def test_every_depth_is_what_the_receivers_own_layers_make_of_it(small_network):
    sender, receiver = small_network(0), small_network(1)
    halves = [cut(network, after="relu1") for network in (sender, receiver)]
    stitch = Affine(4, 4)
    images = [torch.randn(n, 1, 8, 8) for n in (64, 64, 11)]
    batches = [(one, torch.randint(10, (len(one),))) for one in images]
    behind = reader_behind(receiver, "relu1", halves[1].end)
    stitches = {"it": stitch}
    found = evaluate_stitches(*halves, stitches, batches, behind=behind)
    plain = evaluate_stitches(*halves, stitches, batches)
    assert all(found[key] == pytest.approx(value, rel=1e-5) for key, value in plain.items())
    whole = torch.cat(images)
    with torch.no_grad():
        sides = stitch(halves[0].front(whole)), halves[1].front(whole)
        depths = {"cut": sides}
        depths["bn2"] = [receiver.bn2(receiver.conv2(z)) for z in sides]
        depths["flatten"] = [z.relu().flatten(1) for z in depths["bn2"]]
        depths["logits"] = [receiver.fc(z) for z in depths["flatten"]]
    for depth, (x, y) in depths.items():
        assert found[f"explained@{depth}/it"] == pytest.approx(r_squared(x, y), abs=1e-5)
        assert -1 <= found[f"depth_cka@{depth}/it"] <= 1
    assert found["final_explained/it"] == found["explained@flatten/it"]
    assert found["final_depth_cka/it"] == found["depth_cka@flatten/it"]
    both = {"itself": Identity(4, 4)}
    itself = evaluate_stitches(halves[1], halves[1], both, batches, behind=behind)
    for depth in depths:
        assert itself[f"explained@{depth}/itself"] == pytest.approx(1)
        assert itself[f"depth_cka@{depth}/itself"] == pytest.approx(1)


def test_one_block_of_examples_has_their_unbiased_cka(small_network):
    network = small_network(0)
    halves = cut(network, after="relu1")
    images, stitch = torch.randn(64, 1, 8, 8), Affine(4, 4)
    behind = reader_behind(network, "relu1", halves.end)
    batches = [(images, torch.zeros(64).long())]
    found = evaluate_stitches(halves, halves, {"it": stitch}, batches, behind=behind)
    with torch.no_grad():
        target = halves.front(images)
        expected = unbiased_cka(stitch(target).flatten(1), target.flatten(1))
    assert found["depth_cka@cut/it"] == pytest.approx(float(expected), abs=1e-5)


def test_how_far_tells_apart_what_is_all_outside():
    target = torch.randn(400, 3)
    sums = ReferenceSums()
    sums.update(target)
    reference = sums.solve()
    share = Share(reference)
    rows = {"receiver": target, "far": target + 50, "further": target + 500}
    for name, rows_of in rows.items():
        share.update(name, rows_of)
    scores = share.scores()
    assert scores["outside/far"] == scores["outside/further"] == 1
    assert scores["how_far/receiver"] == pytest.approx(1, abs=0.2)
    assert scores["how_far/further"] > 5 * scores["how_far/far"] > 50
    own, others = share._in_halves()["receiver"][0], share._in_halves()["far"][1]
    expected = others.median().sqrt() / own.median().sqrt()
    assert scores["how_far/far"] == pytest.approx(float(expected))
