import math

import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.questions.circuits.answer import Effects, Silenced
from frankenstein.questions.circuits.edit import ablate, score_edits, transplant
from frankenstein.surgery import Cut, cut


def images(count=80):
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def halves(network, layer="relu1"):
    front, end = cut(network, after=layer)
    return Cut(front, end)


def batches(network):
    x = images()
    with torch.no_grad():
        return [(part, network(part).argmax(1)) for part in x.split(32)]


@pytest.mark.parametrize("shape", [(3, 4, 2, 2), (3, 5, 4), (3, 4)])
def test_ablated_units_are_their_value_everywhere_and_the_others_stay(shape):
    z = torch.randn(shape)
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    changed = ablate(torch.tensor([0, 2]), values)(None, z)
    by_unit = changed.movedim(1, -1) if len(shape) == 4 else changed
    before = z.movedim(1, -1) if len(shape) == 4 else z
    assert (by_unit[..., 0] == 1).all()
    assert (by_unit[..., 2] == 3).all()
    assert torch.equal(by_unit[..., [1, 3]], before[..., [1, 3]])


def test_what_is_not_changed_is_the_network_itself(small_network):
    network = small_network(0)
    nothing = {"nothing": ablate(torch.tensor([], dtype=torch.int64), torch.zeros(4))}
    scores = score_edits(halves(network), nothing, batches(network))
    assert scores["none"]["accuracy"] == scores["none"]["agreement"] == 1.0
    assert scores["nothing"] == scores["none"]


def test_a_network_whose_units_are_all_silenced_answers_alike(small_network):
    network = small_network(0)
    edits = {"all": ablate(torch.arange(4), torch.zeros(4))}
    scores = score_edits(halves(network), edits, batches(network))
    labels = torch.cat([labels for _, labels in batches(network)])
    with torch.no_grad():
        answer = halves(network).end(torch.zeros(1, 4, 6, 6)).argmax(1)
    assert scores["all"]["accuracy"] == pytest.approx(float((labels == answer).float().mean()))


@pytest.mark.parametrize("layer", ["relu1", "fc"])
def test_units_transplanted_from_the_network_itself_change_nothing(small_network, layer):
    network = small_network(0)
    receiver = halves(network) if layer == "relu1" else Cut(network, torch.nn.Identity())
    moments = Moments()
    with torch.no_grad():
        z = receiver.front(images())
    moments.update(z.roll(1, 1), z)  # the sender is the same network in another order of units
    units = torch.tensor([0, 2])
    edit = transplant((units + 1) % z.shape[1], units, moments)
    with torch.no_grad():
        assert torch.allclose(edit(z.roll(1, 1), z), z, atol=1e-4)


def test_a_transplant_is_least_squares_on_the_group_alone():
    x, y = torch.randn(50, 5).double(), torch.randn(50, 4).double()
    of, into = torch.tensor([3, 1]), torch.tensor([2, 0])
    found = transplant(of, into, Moments().update(x, y))(x.float(), y.float())
    design = torch.cat([x[:, of], torch.ones(50, 1)], 1)
    expected = design @ torch.linalg.lstsq(design, y[:, into]).solution
    assert torch.allclose(found[:, into].double(), expected, atol=1e-5)
    assert torch.equal(found[:, [1, 3]], y.float()[:, [1, 3]])


def test_halves_run_once_a_batch_and_the_end_once_an_edit(small_network, calls):
    network = small_network(0)
    receiver = halves(network)
    happened = calls(front=receiver.front, end=receiver.end)
    edits = {str(i): ablate(torch.tensor([i]), torch.zeros(4)) for i in range(2)}
    score_edits(receiver, edits, batches(network))
    assert (happened.count("front"), happened.count("end")) == (3, 9)


def test_where_all_other_units_are_the_only_draw_there_is_no_spread_and_no_p():
    groups = [Silenced(-0.4, (-0.2,), 6), Silenced(-0.1, (-0.1, 0.0, -0.2), 2)]
    effects = Effects({"sender": groups})
    numbers = effects.numbers("relu1")
    assert numbers["ablated_random/sender/relu1/1"] == -0.2
    assert math.isnan(numbers["ablated_random_spread/sender/relu1/1"])
    assert math.isnan(numbers["ablated_p/sender/relu1/1"])
    assert numbers["ablated_p/sender/relu1/2"] == pytest.approx(0.5)  # of a family of one
    means = effects.means("relu1")
    assert means["mean_ablated_random/sender/relu1"] == pytest.approx(-0.15)
    assert means["mean_ablated_random_spread/sender/relu1"] == pytest.approx(0.05)
