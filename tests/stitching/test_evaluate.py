import math

import pytest
import torch
from torch.nn import functional

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.intervals import difference_interval, share_interval
from frankenstein.measures import (
    LayerSimilarities,
    cross_entropy_between,
    hits_table,
    jensen_shannon,
)
from frankenstein.networks.accuracy import HITS, evaluate_network
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine, Identity, LowRank
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut, graft


@pytest.fixture
def pair(small_network):
    return small_network(0), small_network(1)


@pytest.fixture
def batches():
    """Batches of uneven sizes."""
    sizes = (16, 16, 5)
    return [(torch.randn(n, 1, 8, 8), torch.randint(10, (n,))) for n in sizes]


def cuts(pair, layer="relu1"):
    return [cut(network, after=layer) for network in pair]


def whole(batches):
    return [torch.cat(part) for part in zip(*batches, strict=True)]


def test_accuracies_and_losses_are_those_of_whole_networks(pair, batches):
    sender, receiver = cuts(pair)
    stitches = {"one": Affine(4, 4), "other": Affine(4, 4)}
    answer = evaluate_stitches(sender, receiver, stitches, batches)
    networks = {
        "sender": pair[0],
        "receiver": pair[1],
        **{name: graft(sender.front, one, receiver.end) for name, one in stitches.items()},
    }
    images, labels = whole(batches)
    for name, network in networks.items():
        with torch.no_grad():
            logits = network(images)
        hits = (logits.argmax(1) == labels).double().mean().item()
        assert answer[f"accuracy/{name}"] == pytest.approx(hits)
        loss = functional.cross_entropy(logits, labels).item()
        assert answer[f"loss/{name}"] == pytest.approx(loss, rel=1e-5)


def test_agreement_relative_accuracy_and_penalty_are_as_defined(pair, batches):
    sender, receiver = cuts(pair)
    stitch = Affine(4, 4)
    with torch.no_grad():
        theirs = pair[1](whole(batches)[0]).argmax(1)
        grafted = graft(sender.front, stitch, receiver.end)(whole(batches)[0]).argmax(1)
    # Labels by which the receiver is right in three of four.
    labels = torch.where(torch.arange(len(theirs)) % 4 == 0, (theirs + 1) % 10, theirs)
    sizes = [len(images) for images, _ in batches]
    batches = [(b[0], part) for b, part in zip(batches, labels.split(sizes), strict=True)]
    answer = evaluate_stitches(sender, receiver, {"it": stitch}, batches)
    hers, its = ((p == labels).double().mean().item() for p in (theirs, grafted))
    assert answer["accuracy/receiver"] == pytest.approx(hers)
    assert 0.6 < hers < 0.8
    assert answer["relative_accuracy/it"] == pytest.approx(its / hers)
    assert answer["stitching_penalty/it"] == pytest.approx((1 - its) - (1 - hers))
    same = (grafted == theirs).double().mean().item()
    assert answer["agreement/it"] == pytest.approx(same)
    least, most = abs(hers - its), min(2 - hers - its, 1)
    expected = (1 - same - least) / (most - least)
    assert answer["normalized_disagreement/it"] == pytest.approx(expected)
    assert answer["normalized_disagreement/receiver"] == 0


def test_a_network_stitched_to_itself_loses_nothing(small_network, batches):
    network = small_network(0)
    both = cut(network, after="bn2")
    answer = evaluate_stitches(both, both, {"identity": Identity(6, 6)}, batches)
    assert answer["accuracy/identity"] == answer["accuracy/sender"] == answer["accuracy/receiver"]
    assert answer["loss/identity"] == answer["loss/receiver"]
    assert answer["agreement/identity"] == 1
    assert answer["relative_accuracy/identity"] == 1
    assert answer["stitching_penalty/identity"] == 0
    assert answer["unbiased_cka/identity"] == pytest.approx(1)
    assert answer["mean_cca/identity"] == pytest.approx(1)


def test_measures_are_of_all_examples_together(pair, batches):
    sender, receiver = cuts(pair)
    stitch = Affine(4, 4)
    answer = evaluate_stitches(sender, receiver, {"it": stitch}, batches, measures=list(MEASURES))
    with torch.no_grad():
        kept = LayerSimilarities(list(MEASURES), block=None, one_grid=True)
        for images, labels in batches:
            stitched = stitch(sender.front(images))
            kept.update({"it": stitched}, {"target": receiver.front(images)}, images, labels)
    for name, value in kept.values().items():
        assert answer[f"{name}/it"] == pytest.approx(value.item(), abs=1e-6)
    assert answer["unbiased_cka/it"] != answer["mean_cca/it"]
    assert answer["unbiased_cka/it"] < 1 > answer["mean_cca/it"]


def test_chance_costs_the_logarithm_of_the_number_of_classes(pair, batches):
    for parameter in pair[1].fc.parameters():
        parameter.data.zero_()
    answer = evaluate_stitches(*cuts(pair), {"it": Affine(4, 4)}, batches)
    assert answer["loss/it"] == pytest.approx(math.log(10))
    assert answer["loss/receiver"] == pytest.approx(math.log(10))


def test_a_receiver_that_is_never_right_has_no_relative_accuracy(pair, batches):
    with torch.no_grad():
        wrong = [(images, (pair[1](images).argmax(1) + 1) % 10) for images, _ in batches]
    answer = evaluate_stitches(*cuts(pair), {"it": Affine(4, 4)}, wrong)
    assert answer["accuracy/receiver"] == 0
    assert math.isnan(answer["relative_accuracy/it"])


def test_answers_are_held_against_the_receivers_over_all_examples(pair, batches):
    sender, receiver = cuts(pair)
    stitch = Affine(4, 4)
    answer = evaluate_stitches(sender, receiver, {"it": stitch}, batches)
    images, labels = whole(batches)
    with torch.no_grad():
        y = pair[1](images)
        networks = {"sender": pair[0](images), "receiver": y}
        networks["it"] = graft(sender.front, stitch, receiver.end)(images)
    for name, x in networks.items():
        for function in (cross_entropy_between, jensen_shannon):
            key = f"{function.__name__.removesuffix('_between')}/{name}"
            assert answer[key] == pytest.approx(function(x, y).mean().item(), abs=1e-6)
        table = hits_table(x, y, labels) / len(labels)
        shares = [answer[f"{what}/{name}"] for what in HITS]
        assert shares == pytest.approx(table.flatten().tolist())
        assert sum(shares) == pytest.approx(1)
        assert answer[f"both_right/{name}"] + answer[f"only_it_right/{name}"] == pytest.approx(
            answer[f"accuracy/{name}"]
        )
    assert answer["jensen_shannon/receiver"] == 0 < answer["jensen_shannon/it"] < math.log(2)
    assert answer["cross_entropy/receiver"] < answer["cross_entropy/it"]


def test_intervals_are_of_the_images_that_one_alone_gets_right(pair, batches):
    sender, receiver = cuts(pair)
    stitches = {"a": Affine(4, 4), "b": Affine(4, 4)}
    answer = evaluate_stitches(sender, receiver, stitches, batches)
    images, labels = whole(batches)
    with torch.no_grad():
        right = {
            name: graft(sender.front, stitch, receiver.end)(images).argmax(1) == labels
            for name, stitch in stitches.items()
        }
        right["receiver"] = pair[1](images).argmax(1) == labels

    def check_interval(first, second, key, whose):
        one, other = right[first], right[second]
        only = [(z.sum() / len(labels)).item() for z in (one & ~other, other & ~one)]
        expected = difference_interval(*only, len(labels))
        found = answer[f"{key}_low/{whose}"], answer[f"{key}_high/{whose}"]
        assert found == pytest.approx(expected, abs=1e-6)
        assert answer[f"{key}/{whose}"] == pytest.approx(only[0] - only[1], abs=1e-6)

    check_interval("b", "a", "difference", "b-a")
    for name in "ab":
        check_interval("receiver", name, "stitching_penalty", name)
        share = right[name].double().mean().item()
        found = answer[f"accuracy_low/{name}"], answer[f"accuracy_high/{name}"]
        assert found == share_interval(share, len(labels))
        assert answer[f"n/{name}"] == len(labels)
    assert "stitching_penalty_low/receiver" not in answer


def test_several_labels_of_an_image_are_questions_by_themselves(pair, batches):
    batches = [(images, torch.randint(2, (len(images), 10)).float()) for images, _ in batches]
    stitch = Affine(4, 4)
    sender, receiver = cuts(pair)
    answer = evaluate_stitches(sender, receiver, {"it": stitch}, batches)
    images, labels = whole(batches)
    with torch.no_grad():
        x, y = graft(sender.front, stitch, receiver.end)(images), pair[1](images)
    p, q = x.sigmoid().double(), y.sigmoid().double()
    assert answer["accuracy/it"] == pytest.approx(((x > 0) == (labels == 1)).double().mean().item())
    assert answer["agreement/it"] == pytest.approx(((x > 0) == (y > 0)).double().mean().item())
    expected = functional.binary_cross_entropy_with_logits(x.double(), q).item()
    assert answer["cross_entropy/it"] == pytest.approx(expected)
    assert answer["n/it"] == len(images)  # whose labels are not independent
    assert answer["accuracy_low/it"] < answer["accuracy/it"] < answer["accuracy_high/it"]
    both_wrong = ((x > 0) != (labels == 1)) & ((y > 0) != (labels == 1))
    assert answer["both_wrong/it"] == pytest.approx(both_wrong.double().mean().item())
    mean = (p + q) / 2
    expected = [
        part * (part / middle).log()
        for part, middle in ((p, mean), (q, mean), (1 - p, 1 - mean), (1 - q, 1 - mean))
    ]
    expected = sum(part.nan_to_num(0) for part in expected).mean().item() / 2
    assert answer["jensen_shannon/it"] == pytest.approx(expected, abs=1e-6)


def test_confident_logits_have_finite_scores(pair, batches):
    with torch.no_grad():
        for network in pair:
            network.fc.weight *= 1e4
    answer = evaluate_stitches(*cuts(pair), {"it": Affine(4, 4)}, batches)
    assert all(math.isfinite(value) for value in answer.values())
    assert answer["loss/it"] > 1000
    assert answer["jensen_shannon/it"] <= math.log(2)


def test_without_examples_there_are_no_scores(pair):
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        evaluate_stitches(*cuts(pair), {"it": Affine(4, 4)}, [])
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        evaluate_network(pair[0], [])


def test_a_network_of_chance_has_the_loss_of_chance(pair, batches):
    for parameter in pair[0].fc.parameters():
        parameter.data.zero_()
    scores = evaluate_network(pair[0], batches)
    assert set(scores) == {"accuracy", "loss", "n", "accuracy_low", "accuracy_high"}
    assert (scores["accuracy_low"], scores["accuracy_high"]) == share_interval(
        scores["accuracy"], scores["n"]
    )
    assert round(scores["loss"], 3) == 2.303
    assert scores["accuracy"] == pytest.approx((whole(batches)[1] == 0).double().mean().item())


def test_each_half_network_runs_once_a_batch_whatever_the_number_of_stitches(pair, batches, calls):
    sender, receiver = cuts(pair)
    happened = calls(sender=pair[0].conv1, receiver=pair[1].conv1)
    evaluate_stitches(sender, receiver, {str(i): Affine(4, 4) for i in range(3)}, iter(batches))
    assert happened.count("sender") == happened.count("receiver") == len(batches)


def test_a_cca_says_over_how_many_directions_it_is(pair, batches):
    stitches = {"one": LowRank(4, 4, rank=1), "all": Affine(4, 4)}
    with torch.no_grad():
        for stitch in stitches.values():
            stitch.solve(Moments().update(torch.randn(50, 4), torch.randn(50, 4)))
    found = evaluate_stitches(*cuts(pair), stitches, batches, ["linear_cka", "mean_cca"])
    rows = [per_location(one.front(whole(batches)[0])).double() for one in cuts(pair)]
    ranks = [torch.linalg.matrix_rank(one - one.mean(0)) for one in rows]
    assert found["directions/one"] == 1 < min(ranks) == found["directions/all"]
    without = evaluate_stitches(*cuts(pair), stitches, batches, ["linear_cka"])
    assert not any(key.startswith("directions") for key in without)
