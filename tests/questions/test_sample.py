import pytest
import torch

from frankenstein.errors import UserError
from frankenstein.questions.sample import read_sample, sample_bytes
from frankenstein.shapes import pooled
from frankenstein.surgery import capture
from frankenstein.surgery.read import Reader


@pytest.fixture
def readers(small_network):
    networks = {"sender": small_network(0), "receiver": small_network(1, widths=(3, 5))}
    return {role: Reader(network, ["relu1", "fc"]) for role, network in networks.items()}


@pytest.fixture
def batches():
    return [(torch.randn(n, 1, 8, 8), torch.arange(n)) for n in (8, 8, 3)]


def test_rows_are_pooled_representations_of_the_same_examples_in_order(
    readers, batches, small_network
):
    sample = read_sample(readers, batches)
    images = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        expected = capture(small_network(0), ["relu1", "fc"])(images)
    for layer, z in expected.items():
        torch.testing.assert_close(sample.of["sender"][layer], pooled(z))
    assert sample.of["receiver"]["relu1"].shape == (19, 3)
    assert sample.labels.tolist() == [*range(8), *range(8), *range(3)]
    assert len(sample) == 19


def test_each_network_runs_once_a_batch_and_watchers_see_what_it_made(readers, batches, calls):
    happened = calls(sender=readers["sender"], receiver=readers["receiver"])
    seen = []
    sample = read_sample(readers, batches, watchers=[lambda batch, labels: seen.append(batch)])
    assert sorted(happened) == 3 * ["receiver"] + 3 * ["sender"]
    rows = torch.cat([pooled(batch["sender"]["relu1"]) for batch in seen])
    assert torch.equal(rows, sample.of["sender"]["relu1"])
    assert seen[0]["receiver"]["relu1"].ndim == 4


def test_the_bytes_that_are_said_are_those_that_are_kept(readers, batches):
    sample = read_sample(readers, batches)
    kept = sum(z.nbytes for layers in sample.of.values() for z in layers.values())
    assert sample_bytes(readers, torch.zeros(2, 1, 8, 8), 19) == kept


def test_no_examples_are_refused(readers):
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        read_sample(readers, [])
