import pytest
import torch

from frankenstein.networks.network import Network
from frankenstein.questions import Subject
from frankenstein.questions.merging.loss_line import AVERAGED, UNMATCHED
from frankenstein.questions.merging.question import Merge
from frankenstein.surgery import find_streams, permute
from frankenstein.zoo import Card, build_network


@pytest.fixture
def merged(few_digits, small_network, spots):
    """The answer for a network with itself, or with its copy of units in another order."""

    def make(has_batchnorm, shuffled):
        network = small_network(0) if has_batchnorm else build_network("lenet", init_seed=3).eval()
        streams = find_streams(network)
        orders = {s: torch.arange(streams.units[s]).flip(0) for s in streams.movable}
        copy = permute(network, orders if shuffled else {})
        data = spots() if has_batchnorm else few_digits(image_size=32)
        card = Card("lenet", 10, 1, "digits", 0, 0, 0)
        networks = [Network(one, card, "") for one in (copy, network)]
        return Merge().ask(Subject(networks, data, examples=40))

    return make


@pytest.mark.parametrize("has_batchnorm", [True, False])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_network_merged_with_itself_has_no_barrier_and_one_accuracy(
    merged, has_batchnorm, shuffled
):
    answer = merged(has_batchnorm, shuffled)
    for way in {*answer.lines} - ({UNMATCHED} if shuffled else set()):
        for part in ("train", "val"):
            assert answer.numbers[f"barrier_{part}/{way}"] == pytest.approx(0, abs=1e-4)
            assert len(set(answer.lines[way].accuracy[part])) == 1
    own = answer.numbers["loss/sender"]
    assert answer.lines[AVERAGED].loss["val"][0] == pytest.approx(own, rel=1e-5)
    # BatchNorm's statistics are counted anew at the ends as between them.
    counted = answer.lines["by_weights"].loss["val"][0]
    assert (counted == pytest.approx(own, rel=1e-5)) == (not has_batchnorm)
    if has_batchnorm and not shuffled:  # and their rows stand beside what is merged
        assert answer.counted_anew["sender"] == answer.halfway["by_weights"]
    if shuffled:
        losses = answer.lines[UNMATCHED].loss["val"]
        assert max(losses) - min(losses) > 1e-3
