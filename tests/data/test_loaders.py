import pytest
import torch
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, TensorDataset

from frankenstein.data import Synthetic
from frankenstein.data.loaders import check_batches, come_again, without
from frankenstein.errors import UserError
from frankenstein.networks.accuracy import evaluate_network
from frankenstein.similarity import similarity_matrix
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut
from frankenstein.tasks import matching_moments


def as_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)


@pytest.mark.parametrize("examples", [12, 13, 14, 17])
@pytest.mark.parametrize("world_size", [2, 3])
def test_less_what_comes_again_every_example_is_there_once(monkeypatch, examples, world_size):
    rows, seen = TensorDataset(torch.arange(examples)), []
    for rank in range(world_size):
        as_rank(monkeypatch, rank, world_size)
        sampler = DistributedSampler(rows, world_size, rank, shuffle=False)
        loader = DataLoader(rows, batch_size=4, sampler=sampler)
        for index, (batch,) in enumerate(loader):
            seen += without([batch], come_again(loader, index, len(batch)))[0].tolist()
    assert sorted(seen) == list(range(examples))


class Stream(IterableDataset):
    def __iter__(self):
        yield from torch.arange(5)


def test_on_several_processes_a_loader_that_may_repeat_is_refused(monkeypatch):
    loader = DataLoader(Stream(), batch_size=2)
    assert come_again(loader, 0, 2) is None
    as_rank(monkeypatch, 0, 2)
    with pytest.raises(UserError, match="nobody knows which examples of this DataLoader come aga"):
        come_again(loader, 0, 2)
    assert come_again(Synthetic(8, test_size=20).val_batches(), 0, 20) is None


def test_a_data_set_is_no_loader_wherever_batches_are_taken(small_network):
    pair = small_network(0), small_network(1)
    halves = [cut(network, after="relu1") for network in pair]
    data = TensorDataset(torch.randn(7, 1, 8, 8), torch.zeros(7, dtype=torch.int64))
    told = "TensorDataset is a data set, whose items are single examples; give batches of it"
    for use in (
        lambda: matching_moments(halves[0].front, halves[1].front, data),
        lambda: evaluate_stitches(*halves, {}, data),
        lambda: evaluate_network(pair[0], data),
    ):
        with pytest.raises(UserError, match=told):
            use()
    check_batches(DataLoader(data, batch_size=4))
    # `similarity_matrix` makes batches of it.
    matrix = similarity_matrix(*pair, data, measure="linear_cka")
    of_batches = similarity_matrix(*pair, [data.tensors[0]], measure="linear_cka")
    torch.testing.assert_close(matrix.values, of_batches.values)
