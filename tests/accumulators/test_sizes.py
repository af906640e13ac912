import numpy as np
import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.catalog import MEASURES
from frankenstein.errors import NearlyDependentWarning, UserError
from frankenstein.measures import LayerSimilarities, mean_cca, mean_squared_cca, r_squared

SUMS_OR_ROWS = [Moments, Reservoir]


@pytest.fixture
def pair():
    x = torch.randn(40, 3, dtype=torch.float64)
    return x, x @ torch.randn(3, 3, dtype=torch.float64) + torch.randn(40, 3, dtype=torch.float64)


def value(name, x, y):
    more = {"inputs": [torch.arange(120.0).view(40, 3).sin()], "classes": [torch.arange(40) % 3]}
    return MEASURES[name](x, y, *more.get(MEASURES[name].needs, []))


NO_SCALE = [
    name
    for name, row in MEASURES.items()
    if "scale" in row.invariant_to and not name.startswith("ridge")
]


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("name", NO_SCALE)
@pytest.mark.parametrize("size", [1e-60, 1e60])
def test_numbers_of_any_size_that_sums_hold_give_the_same(name, size, pair):
    x, y = pair
    expected = value(name, x, y).item()
    assert value(name, x * size, y * size).item() == pytest.approx(expected, abs=1e-7, nan_ok=True)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("size", [1e100, 1e160, 1e300])
def test_numbers_whose_powers_are_beyond_float64_are_refused_as_such(name, size, pair):
    x, y = pair
    with pytest.raises(
        UserError, match=r"first representation holds numbers above 1e.70, whose po"
    ):
        value(name, x * size, y)
    with pytest.raises(UserError, match=r"second representation holds numbers above 1e.70, whose"):
        value(name, x, y * size)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("size", [1e-100, 1e-140])
def test_numbers_that_vary_by_next_to_nothing_are_refused_as_such(name, size, pair):
    x, y = pair
    with pytest.raises(UserError, match="first representation varies by less than 1e-70, whose"):
        value(name, x * size, y)


@pytest.mark.parametrize("block", [64, None])
@pytest.mark.parametrize("shared", [0, 100])
def test_no_examples_are_refused_by_every_measure_of_layers(block, shared):
    nothing = torch.zeros(0, 3)
    for name in MEASURES:
        kept = LayerSimilarities([name], block=block, shared_up_to=shared)
        kept.update({"a": nothing}, {"b": nothing}, nothing, torch.zeros(0).long())
        with pytest.raises(UserError, match="no examples were given; is the data set empty"):
            kept.values()


def nearly_dependent(share):
    """20 units of which one equals another but for a share of noise, which y is made of."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 20, generator=draw, dtype=torch.float64)
    noise = torch.randn(2000, generator=draw, dtype=torch.float64)
    x[:, 1] = x[:, 0] + share * noise
    y = torch.cat([3 * noise[:, None], x[:, 2:8]], 1)
    return x, y + torch.randn(2000, 7, generator=draw, dtype=torch.float64)


def references(x, y):
    """R² by numpy.linalg.lstsq, and the canonical correlations by QR."""
    x, y = ((z - z.mean(0)).numpy() for z in (x, y))
    weight = np.linalg.lstsq(x, y, rcond=None)[0]
    cosines = np.linalg.svd(np.linalg.qr(x)[0].T @ np.linalg.qr(y)[0], compute_uv=False)
    return 1 - ((y - x @ weight) ** 2).sum() / (y**2).sum(), cosines


@pytest.mark.parametrize("share", [1e-3, 1e-5, 1e-6, 1e-7, 1e-9])
def test_of_rows_nearly_dependent_units_count_as_by_least_squares_and_qr(share):
    x, y = nearly_dependent(share)
    explained, cosines = references(x, y)
    assert r_squared(x, y).item() == pytest.approx(explained, abs=1e-6)
    assert mean_cca(x, y).item() == pytest.approx(cosines.mean(), abs=1e-6)
    assert mean_squared_cca(x, y).item() == pytest.approx((cosines**2).mean(), abs=1e-6)


def test_of_sums_they_count_to_the_limit_that_is_stated_and_are_warned_of_near_it():
    for share, error in ((1e-3, 1e-7), (1e-4, 1e-5), (1e-5, 1e-4)):
        x, y = nearly_dependent(share)
        found = r_squared(Moments().update(x, y)).item()
        assert found == pytest.approx(references(x, y)[0], abs=error)
    x, y = nearly_dependent(1e-6)
    with pytest.warns(NearlyDependentWarning, match="first representation depend .* for 5e-07 of"):
        found = r_squared(Moments().update(x, y)).item()
    assert found == pytest.approx(references(x, y)[0], abs=0.02)
    x, y = nearly_dependent(2e-7)  # the direction is dropped
    with pytest.warns(NearlyDependentWarning, match="first representation depend"):
        found = r_squared(Moments().update(x, y)).item()
    assert found == pytest.approx(r_squared(x[:, 1:], y).item())
    # Where a unit is another one but for rounding, it is one to sums.
    x, y = nearly_dependent(1e-9)
    expected = r_squared(x[:, 1:], y).item()
    assert r_squared(Moments().update(x, y)).item() == pytest.approx(expected)
