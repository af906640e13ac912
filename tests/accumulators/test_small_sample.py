import numpy as np
import pytest
import torch

from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments, few_rows
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import (
    LayerSimilarities,
    UndefinedSimilarityWarning,
    cross_validated_r_squared,
    linear_cka,
    mean_cca,
)
from frankenstein.shapes import ShapeError, per_sample

FREE_OF_ROTATION = [
    name
    for name, row in MEASURES.items()
    if row.needs == "moments" and "rotate" in row.invariant_to
]


def wide(n=40, d=700, e=600, rank=None):
    """Representations of many units; of a low rank if one is given."""
    generator = torch.Generator().manual_seed(0)
    causes = torch.randn(n, rank or n, generator=generator, dtype=torch.float64)
    mix = torch.randn(2, rank or n, max(d, e), generator=generator, dtype=torch.float64)
    x, y = causes @ mix[0][:, :d], causes.roll(1, 1) @ mix[1][:, :e]
    noise = torch.randn(n, 8, generator=generator, dtype=torch.float64)
    return x, y + noise @ mix[1][:1, :e].expand(8, e) + 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rank", [None, 7])
@pytest.mark.parametrize("name", FREE_OF_ROTATION)
@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
def test_fewer_rows_than_units_give_what_the_sums_give(name, rank, dtype):
    x, y = (z.to(dtype) for z in wide(rank=rank))  # float32 adds directions of rounding
    expected = MEASURES[name](Moments().update(x, y)).item()
    assert MEASURES[name](x, y).item() == pytest.approx(expected, abs=1e-9, nan_ok=True)
    kept = LayerSimilarities([name], "per_sample", None, shared_up_to=0)
    for rows in (slice(30), slice(30, None)):
        kept.update({"x": x[rows]}, {"y": y[rows]})
    assert kept.value(name, "x", "y").item() == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("rank", [None, 7])
def test_cross_validation_and_ridges_go_by_the_units_as_they_are(rank):
    x, y = (z.float() for z in wide(rank=rank))
    expected = cross_validated_r_squared(Folds().update(x, y)).item()
    assert cross_validated_r_squared(x, y).item() == pytest.approx(expected, abs=1e-9)
    expected = mean_cca(Moments().update(x, y), ridge=0.1).item()
    assert mean_cca(x, y, ridge=0.1).item() == pytest.approx(expected, abs=1e-9)


def test_many_units_take_no_sums_over_all_of_them():
    x = np.random.default_rng(0).normal(size=(50, 40_000))  # whose sums would take 13 GB
    y = x[:, :30_000] + np.random.default_rng(1).normal(size=(50, 30_000))
    k, l = ((z - z.mean(0)) @ (z - z.mean(0)).T for z in (x, y))  # noqa: E741
    expected = (k * l).sum() / np.linalg.norm(k) / np.linalg.norm(l)
    assert linear_cka(x, y).item() == pytest.approx(expected, rel=1e-12)
    with pytest.warns(UndefinedSimilarityWarning, match="too few for 49 and 49 directions"):
        assert MEASURES["mean_cca"](x, y).isnan()


def test_rows_become_sums_when_they_are_no_longer_few():
    x, y = wide(n=900)
    rows = AdaptiveMoments().update(x[:500], y[:500])
    assert rows.few
    rows.update(x[500:], y[500:])
    assert not rows.few
    expected = linear_cka(Moments().update(x, y)).item()
    assert linear_cka(rows.frozen()).item() == pytest.approx(expected, rel=1e-10)
    assert few_rows(x, y) is None
    assert few_rows(x[:, :50], y[:, :50]) is None


def test_gradients_flow_through_few_rows():
    x, y = wide(n=10)
    found = []
    for given in (lambda z: (z, y), lambda z: (Moments().update(z, y),)):
        z = x.clone().requires_grad_()
        linear_cka(*given(z)).backward()
        found.append(z.grad)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", FREE_OF_ROTATION)
def test_nan_among_few_rows_is_refused_with_its_side(name):
    x, y = wide(n=10)
    y[3, 5] = torch.nan
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        MEASURES[name](x, y)
    maps = LayerSimilarities([name], "per_sample", None, shared_up_to=0)
    maps.update({"x": x.view(10, 7, 10, 10)}, {"y": y.view(10, 6, 10, 10)})
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        maps.values()
    assert per_sample(y).shape == (10, 600)


def test_rows_of_many_units_are_summed_many_at_a_time():
    x, y = wide(n=900)
    rows = AdaptiveMoments()
    for some in range(0, 900, 20):
        rows.update(x[some : some + 20], y[some : some + 20])
    expected = Moments().update(x, y)
    for pair in ("xx", "xy", "yy"):
        torch.testing.assert_close(rows.frozen().covariance(pair), expected.covariance(pair))
    assert not rows.few
    with pytest.raises(ShapeError, match=r"over \(700, 600\) units, got \(700, 599\)"):
        rows.update(x, y[:, 1:]).moments  # noqa: B018
    with pytest.raises(ShapeError, match=r"rows of \(700, 600\) units, got \(700, 599\)"):
        AdaptiveMoments().update(x[:9], y[:9]).update(x[:9], y[:9, 1:])
