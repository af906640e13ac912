from itertools import chain

import pytest
import torch

from frankenstein.data.batches import Batches, in_order, mixed, shuffled
from frankenstein.errors import DataError


def row_batches(order, epoch=0):
    """Batches whose labels are the row numbers."""
    rows = torch.arange(1000)
    loader = Batches(rows[:, None], rows, order)
    loader.sampler.set_epoch(epoch)
    return loader


def labels(loader):
    return [labels.tolist() for _, labels in loader]


def joined(batches):
    return list(chain.from_iterable(batches))


def as_rank(monkeypatch, rank, world_size):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: world_size)


def test_order_depends_on_the_order_seed_and_the_epoch_only():
    def order(seed, epoch):
        torch.rand(3)  # the global generator moves on between any two
        return labels(row_batches(shuffled(50, 8, seed), epoch))

    assert order(0, 0) == order(0, 0)
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_an_epoch_shows_every_example_once_but_the_dropped_tail():
    batches = labels(row_batches(shuffled(50, 8, 0), epoch=3))
    assert [len(batch) for batch in batches] == [8] * 6
    seen = joined(batches)
    assert len(set(seen)) == 48
    assert set(seen) <= set(range(50))


def test_in_order_keeps_every_example_in_batches_of_almost_equal_size():
    batches = labels(row_batches(in_order(50, 16)))
    assert joined(batches) == list(range(50))
    assert [len(batch) for batch in batches] == [13, 13, 12, 12]


@pytest.mark.parametrize("order", [shuffled(50, 7, 0), in_order(50, 16)])
def test_processes_share_each_batch_without_repeating_an_example(monkeypatch, order):
    alone = labels(row_batches(order))
    shares = []
    for rank in range(3):
        as_rank(monkeypatch, rank, 3)
        shares.append(labels(row_batches(order)))
    for whole, *parts in zip(alone, *shares, strict=True):
        assert sorted(joined(parts)) == sorted(whole)
    # Of all examples each has every third: numbers that a process counts are those of one process.
    assert [joined(share) for share in shares] == [joined(alone)[rank::3] for rank in range(3)]


def test_length_is_the_number_of_batches():
    for order in (shuffled(50, 8, 0), in_order(50, 16)):
        loader = row_batches(order)
        assert len(loader) == len(labels(loader))


def test_iterating_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    labels(row_batches(shuffled(50, 8, 0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_taken_within_an_epoch_continues_it_once():
    order = shuffled(50, 8, 0)
    whole = labels(row_batches(order))
    loader = row_batches(order)
    iterator = iter(loader)
    for _ in range(2):
        next(iterator)
    resumed = row_batches(order)
    resumed.load_state_dict(loader.state_dict())
    iter(resumed)  # an iterator that nobody asks for a batch
    assert labels(resumed) == whole[2:]
    assert labels(resumed) == whole


def test_a_state_taken_at_the_end_of_an_epoch_begins_the_next():
    loader = row_batches(shuffled(50, 8, 0))
    whole = labels(loader)
    loader.load_state_dict(loader.state_dict())
    assert labels(loader) == whole


def test_too_few_examples_for_a_batch_are_refused():
    with pytest.raises(
        DataError, match=r"5 training images do not fill one batch of 8; .* at most 5"
    ):
        shuffled(5, 8, 0)


def test_more_processes_than_examples_in_a_batch_are_refused(monkeypatch):
    as_rank(monkeypatch, 0, 4)
    with pytest.raises(DataError, match="a batch of 2 images cannot be split over 4 processes"):
        labels(row_batches(shuffled(6, 2, 0)))


@pytest.mark.parametrize("size", [1, 7, 40])
def test_mixed_batches_hold_every_example_once_in_one_order(size):
    rows = joined(labels(row_batches(mixed(40, size))))
    assert sorted(rows) == list(range(40))
    assert rows == joined(labels(row_batches(mixed(40, 40)))) != sorted(rows)
