import math

import pytest
import torch
from torch.nn import functional

from frankenstein.catalog import MEASURES
from frankenstein.compare import evaluate_stitches
from frankenstein.measures import mean_cca, unbiased_cka
from frankenstein.moments import Moments
from frankenstein.stitches import Affine, Identity
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
    assert answer["agreement/it"] == pytest.approx((grafted == theirs).double().mean().item())


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
    images, _ = whole(batches)
    with torch.no_grad():
        moments = Moments().update(stitch(sender.front(images)), receiver.front(images))
    for name, measure in MEASURES.items():
        assert answer[f"{name}/it"] == pytest.approx(measure(moments).item(), abs=1e-6)
    assert answer["unbiased_cka/it"] != answer["mean_cca/it"]
    assert unbiased_cka(moments) < 1 > mean_cca(moments)


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


def test_each_half_network_runs_once_a_batch_whatever_the_number_of_stitches(pair, batches, calls):
    sender, receiver = cuts(pair)
    happened = calls(sender=pair[0].conv1, receiver=pair[1].conv1)
    evaluate_stitches(sender, receiver, {str(i): Affine(4, 4) for i in range(3)}, iter(batches))
    assert happened.count("sender") == happened.count("receiver") == len(batches)
