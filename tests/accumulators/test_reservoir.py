import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, pooled


@pytest.fixture
def pair():
    return torch.randn(100, 3), torch.randn(100, 2)


def kept(examples):
    """The rows of both, in an order of their own."""
    rows = torch.cat([examples.x, examples.y], 1)
    return rows[rows[:, 0].argsort()]


def in_batches(pair, size, **options):
    examples = Reservoir(**options)
    for x, y in zip(pair[0].split(size), pair[1].split(size), strict=True):
        examples.update(x, y)
    return examples


@pytest.mark.parametrize("size", [1, 7, 64, 100])
def test_all_examples_are_kept_up_to_the_limit(pair, size):
    examples = in_batches(pair, size, limit=100)
    assert examples.n_seen == examples.n_kept == 100
    assert torch.equal(examples.x, pair[0])
    assert torch.equal(examples.y, pair[1])


@pytest.mark.parametrize("limit", [1, 10, 99])
def test_above_the_limit_the_size_of_batches_changes_nothing(pair, limit):
    whole = in_batches(pair, 100, limit=limit)
    for size in (1, 7, 64):
        examples = in_batches(pair, size, limit=limit)
        assert (examples.n_seen, examples.n_kept) == (100, limit)
        assert torch.equal(kept(examples), kept(whole))


def test_rows_of_both_stay_beside_each_other():
    x = torch.arange(1000.0)[:, None]
    examples = in_batches((x, 2 * x), 13, limit=50)
    assert torch.equal(examples.y, 2 * examples.x)
    assert len(examples.x.unique()) == 50


def test_every_example_is_kept_as_often_as_another():
    counts = torch.zeros(40)
    for seed in range(400):
        x = torch.arange(40.0)[:, None]
        examples = in_batches((x, x), 20, limit=10, seed=seed)
        counts[examples.x[:, 0].long()] += 1
    # Binomial of 400 and 1/4: a standard deviation of 8.7.
    assert (counts - 100).abs().max() < 4 * 8.7


def test_another_seed_keeps_other_examples(pair):
    one, other = (in_batches(pair, 10, limit=20, seed=seed) for seed in (0, 1))
    assert not torch.equal(kept(one), kept(other))


@pytest.mark.parametrize("limit", [5, 30, 1000])
def test_merged_accumulators_hold_the_smallest_priorities_of_both(pair, limit):
    parts = [Reservoir(limit, seed=seed) for seed in range(3)]
    for part, x, y in zip(parts, pair[0].split(40), pair[1].split(40), strict=True):
        part.update(x, y)
    priorities = torch.cat([part.priorities for part in parts])
    merged = Reservoir(limit).merge(parts[0]).merge(Reservoir()).merge(parts[1]).merge(parts[2])
    assert (merged.n_seen, merged.n_kept) == (100, min(limit, 100))
    expected = priorities.sort().values[:limit]
    assert torch.equal(merged.priorities.sort().values, expected)
    rows = {tuple(row) for row in torch.cat(pair, 1).tolist()}
    assert {tuple(row) for row in kept(merged).tolist()} <= rows


def test_memory_is_told_in_advance_and_does_not_grow(pair):
    examples = Reservoir(limit=64).update(*pair)
    told = examples.bytes
    assert told == 64 * 5 * 4
    for _ in range(20):
        examples.update(*pair)
    assert sum(rows.nbytes for rows in examples._rows.values()) == told == examples.bytes
    few = Reservoir(limit=10**9).update(*pair)
    assert sum(rows.nbytes for rows in few._rows.values()) == 100 * 5 * 4


def test_maps_are_flattened_as_asked():
    x, y = torch.randn(6, 3, 4, 5), torch.randn(6, 2, 2, 2)
    assert Reservoir().update(x, y).x.shape == (6, 60)
    assert Reservoir(flatten=pooled).update(x, y).y.shape == (6, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_rows_are_kept_in_the_precision_they_come_in(dtype):
    x = torch.randn(10, 3).to(dtype)
    assert torch.equal(Reservoir(limit=10).update(x, x).x, x)


def test_inputs_are_kept_beside_if_they_are_given(pair):
    examples = Reservoir(limit=20).update(*pair, pair[0].view(100, 3, 1, 1) + 1)
    assert torch.equal(examples.inputs, examples.x + 1)
    with pytest.raises(UserError, match="inputs came with some batches only"):
        examples.update(*pair)
    with pytest.raises(UserError, match=r"the inputs were not kept; give them: update\(x, y, inp"):
        _ = Reservoir().update(*pair).inputs


def test_what_does_not_fit_is_refused(pair):
    with pytest.raises(ShapeError, match="got 100 and 99 rows"):
        Reservoir().update(pair[0], pair[1][1:])
    with pytest.raises(ShapeError, match="rows of 2 units, got 3 in y"):
        Reservoir().update(*pair).update(pair[0], pair[0])
    with pytest.raises(UserError, match="got 0; give 1 or more"):
        Reservoir(limit=0)


def test_no_rows_are_no_examples():
    for examples in (Reservoir(), Reservoir().update(torch.zeros(0, 3), torch.zeros(0, 2))):
        assert (examples.n_seen, examples.n_kept) == (0, 0)
        with pytest.raises(UserError, match="no examples were given; is the data set empty"):
            _ = examples.x


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_inf_are_refused_when_the_rows_are_read(pair, value):
    pair[1][17, 1] = value
    examples = Reservoir().update(*pair, pair[0])
    assert examples.x.isfinite().all()
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        _ = examples.y


def test_examples_are_what_a_measure_makes_of_two_matrices(pair):
    assert torch.equal(reservoir_of(*pair).x, pair[0])
    examples = Reservoir()
    assert reservoir_of(examples) is examples
    with pytest.raises(UserError, match="needs the examples themselves, which sums do not hold"):
        reservoir_of(Moments().update(*pair))
    with pytest.raises(UserError, match="or two representations; got one representation"):
        reservoir_of(pair[0])
