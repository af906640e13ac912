import pytest
import torch
from torch import distributed, multiprocessing

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities

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


def similarities_of(batches, limit=2000):
    """Every measure, but those of units that have their like."""
    names = [name for name in MEASURES if name not in ("unit_correlation", "mean_squared_distance")]
    kept = LayerSimilarities(names, block=None, limit=limit, one_grid=True, shared_up_to=0)
    for batch in batches:
        classes = (batch[:, 0] > 0).long()
        kept.update({"x": batch[:, :3]}, {"y": batch[:, 3:].square()}, batch.cos(), classes)
    return kept


def examples_of(numbers, dtype=torch.float32, limit=100):
    examples = Reservoir(limit)
    for i in numbers:
        examples.update(BATCHES[i][:, :3].to(dtype), BATCHES[i][:, 3:].to(dtype))
    return examples


def numbers(moments):
    return [moments.n, *(group[key] for group in moments._groups() for key in sorted(group))]


def process(rank, folder):
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    found = {name: numbers(moments_of(share[rank]).all_reduce()) for name, share in SHARES.items()}
    found["nothing"] = Moments().all_reduce().n
    for name, share in SHARES.items():
        values = similarities_of(BATCHES[i] for i in share[rank]).all_reduce().values()
        found[f"measures {name}"] = values
        for dtype in (torch.float32, torch.bfloat16):
            examples = examples_of(share[rank], dtype).all_reduce()
            found[f"{dtype} {name}"] = [examples.n_seen, examples.x, examples.y]
        few = examples_of(share[rank], limit=7)
        found[f"priorities {name}"] = few.priorities
        found[f"few {name}"] = [few.all_reduce().n_seen, few.priorities, few.x]
    found["dealt"] = similarities_of(torch.cat(BATCHES)[rank::2].split(4), 15).all_reduce().values()
    found["no examples"] = Reservoir().all_reduce().n_seen
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


@pytest.mark.parametrize("name", SHARES)
def test_every_measure_of_two_processes_is_that_of_one(found, name):
    one, other = (mine[f"measures {name}"] for mine in found)
    for measure, value in one.items():  # NaN, where a part of so few examples is empty
        assert torch.equal(value.nan_to_num(7), other[measure].nan_to_num(7)), measure
    for measure, expected in similarities_of(BATCHES).values().items():
        if MEASURES[measure].needs == "folds":  # parts are drawn by numbers, which are other ones
            continue
        assert abs(one[measure] - expected) < 1e-10, measure


def test_where_examples_are_dealt_out_parts_and_samples_are_those_of_one_process_too(found):
    for measure, expected in similarities_of(BATCHES, 15).values().items():
        assert abs(found[0]["dealt"][measure] - expected) < 1e-10, measure


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_kept_examples_of_two_processes_are_those_of_one(found, name, dtype):
    whole = examples_of(range(len(BATCHES)), dtype)
    expected = {tuple(row) for row in torch.cat([whole.x, whole.y], 1).tolist()}
    for mine in found:
        n_seen, x, y = mine[f"{dtype} {name}"]
        assert n_seen == len(x) == whole.n_seen
        assert x.dtype == dtype
        assert {tuple(row) for row in torch.cat([x, y], 1).tolist()} == expected


@pytest.mark.parametrize("name", SHARES)
def test_above_the_limit_two_processes_keep_the_smallest_priorities_of_both(found, name):
    priorities = torch.cat([mine[f"priorities {name}"] for mine in found]).sort().values[:7]
    for mine in found:
        n_seen, kept, x = mine[f"few {name}"]
        assert n_seen == 19
        assert torch.equal(kept.sort().values, priorities)
        assert len(x) == 7
    assert torch.equal(found[0][f"few {name}"][2], found[1][f"few {name}"][2])


def test_no_examples_anywhere_stay_none(found):
    assert [mine["nothing"] for mine in found] == [0, 0]
    assert [mine["no examples"] for mine in found] == [0, 0]


def test_one_process_by_itself_is_left_alone():
    moments = moments_of([0])
    before = numbers(moments)
    for mine, expected in zip(numbers(moments.all_reduce()), before, strict=True):
        assert torch.equal(torch.as_tensor(mine), torch.as_tensor(expected))
