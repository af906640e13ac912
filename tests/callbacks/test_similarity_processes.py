import pytest
import torch
from torch import distributed, multiprocessing

from frankenstein.moments import Moments

BATCHES = [(torch.arange(n * 5).view(n, 5) * 7 % 11 + 0.1 * n) / 3 for n in (6, 4, 9)]
SHARES = {  # which batches each of two processes sees
    "uneven": ([0, 1], [2]),
    "first empty": ([], [0, 1, 2]),
    "second empty": ([0, 1, 2], []),
}


def moments_of(numbers):
    moments = Moments()
    for i in numbers:
        moments.update(BATCHES[i][:, :3], BATCHES[i][:, 3:].square())
    return moments


def numbers(moments):
    return [moments.n, *(group[key] for group in moments._groups() for key in sorted(group))]


def process(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    found = {name: numbers(moments_of(share[rank]).all_reduce()) for name, share in SHARES.items()}
    found["nothing"] = Moments().all_reduce().n
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each of two processes ends up with."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(process, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("name", SHARES)
def test_the_sums_of_two_processes_are_those_of_one(found, name):
    whole = moments_of(range(len(BATCHES)))
    for mine in found:
        assert mine[name][0] == whole.n
    for mine, other in zip(found[0][name][1:], found[1][name][1:], strict=True):
        assert torch.equal(mine, other)
    # Their shift may be another than that of one process: covariances are free of it.
    merged = Moments()
    for rows in SHARES[name]:
        merged.merge(moments_of(rows))
    for mine, expected in zip(found[0][name][1:], numbers(merged)[1:], strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-12)


def test_no_examples_anywhere_stay_none(found):
    assert [mine["nothing"] for mine in found] == [0, 0]


def test_one_process_by_itself_is_left_alone():
    moments = moments_of([0])
    before = numbers(moments)
    for mine, expected in zip(numbers(moments.all_reduce()), before, strict=True):
        assert torch.equal(torch.as_tensor(mine), torch.as_tensor(expected))
