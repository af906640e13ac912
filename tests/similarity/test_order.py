"""Whatever the order of the labels, a measure is the same, or the same to what a seed draws."""

import pytest
import torch

from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities
from frankenstein.similarity import certainties
from frankenstein.stitching.off_distribution import ReferenceSums, Share

N, CLASSES = 240, 10
LABELS = torch.arange(N) % CLASSES
ORDERS = {"cycled": torch.arange(N), "sorted": LABELS.argsort(stable=True)}
ORDERS["shuffled"] = torch.randperm(N, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def data():
    """Two representations of the same classes, and inputs."""
    draw = torch.Generator().manual_seed(1)
    means = torch.randn(CLASSES, 6, generator=draw, dtype=torch.float64)[LABELS]

    def noisy():
        return means + torch.randn(N, 6, generator=draw, dtype=torch.float64)

    return noisy(), noisy(), noisy()


def values_of(data, order, names, limit=N, size=50):
    kept = LayerSimilarities(names, block=None, limit=limit, shared_up_to=0)
    for rows in order.split(size):
        x, y, inputs = (z[rows] for z in data)
        kept.update({"x": x}, {"y": y}, inputs, (inputs.flatten(1)[:, 0] > 0).long())
    return {name: float(value) for name, value in kept.values().items()}


@pytest.mark.parametrize("order", ORDERS)
def test_every_measure_of_all_examples_is_the_same_in_any_order(data, order):
    names = [name for name in MEASURES if MEASURES[name].kept != "folds"]
    expected = values_of(data, ORDERS["cycled"], names)
    found = values_of(data, ORDERS[order], names)
    assert found == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_every_measure_of_parts_or_of_a_sample_is_the_same_to_what_is_drawn(data, order):
    names = [
        name
        for name, row in MEASURES.items()
        if row.kept in ("folds", "examples") and row.range[1] < float("inf")
    ]
    draw = torch.Generator().manual_seed(2)
    drawn = [
        values_of(data, torch.randperm(N, generator=draw), names, limit=120) for _ in range(12)
    ]
    found = values_of(data, ORDERS[order], names, limit=120)
    for name in names:
        values = torch.tensor([one[name] for one in drawn])
        assert abs(found[name] - values.mean()) < 4 * values.std(), name
        assert values.std() < 0.1, name


@pytest.mark.parametrize("order", ORDERS)
def test_intervals_and_nulls_are_the_same_to_what_is_drawn(data, order):
    found = {}
    for name in ("cycled", order):
        kept = LayerReservoir(120)
        x, y, _ = (z[ORDERS[name]] for z in data)
        kept.update({"x": x}, {"y": y})
        found[name] = certainties(kept, ["unbiased_cka", "mutual_knn"], 60, 60)
    for measure, one in found[order].items():
        other = found["cycled"][measure]
        assert one.low < other.value < one.high
        assert one.null_mean == pytest.approx(other.null_mean, abs=0.02)
        assert one.p_value < 0.05


@pytest.mark.parametrize("order", ORDERS)
def test_the_share_outside_is_the_same_to_what_is_drawn(data, order):
    reference = ReferenceSums()
    reference.update(data[0])
    known = Share(reference.solve(), 80)
    known.update("receiver", data[0][ORDERS[order]])
    known.update("it", 1.3 * data[1][ORDERS[order]])
    shares = known.shares()
    assert shares["receiver"] == pytest.approx(0.2, abs=0.11)
    assert shares["it"] == pytest.approx(0.5, abs=0.15)
