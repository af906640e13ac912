import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frankenstein.catalog import MEASURES
from frankenstein.measures import UndefinedSimilarityWarning

SETTINGS = settings(max_examples=12, deadline=None, derandomize=True, database=None)


@st.composite
def pairs(draw):
    """Two representations of any number of examples, units and size; rows and units may repeat."""
    n, d = draw(st.integers(1, 20)), draw(st.integers(1, 30))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    x, y = (torch.randn(n, d, dtype=torch.float64, generator=generator) for _ in range(2))
    y = y + draw(st.sampled_from([0, 1, 100])) * x
    if draw(st.booleans()):
        x[:, -1] = x[:, 0]
    if draw(st.booleans()):
        y[:, 0] = 0
    scales = st.integers(-8, 8).map(lambda power: 10.0**power)
    repeats = draw(st.integers(1, 4))
    return draw(scales) * x.repeat(repeats, 1), draw(scales) * y.repeat(repeats, 1)


def value(name, x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedSimilarityWarning)
        return MEASURES[name](x, y).item()


@pytest.mark.parametrize("name", MEASURES)
@SETTINGS
@given(pair=pairs())
def test_whatever_comes_the_value_lies_in_its_range_or_is_undefined(name, pair):
    low, high = MEASURES[name].range
    found = value(name, *pair)
    assert found != found or low - 1e-9 <= found <= high + 1e-9


@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if row.symmetric])
@SETTINGS
@given(pair=pairs())
def test_whatever_comes_the_order_of_the_two_does_not_matter(name, pair):
    x, y = pair
    assert value(name, x, y) == pytest.approx(value(name, y, x), rel=1e-9, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", MEASURES)
@SETTINGS
@given(pair=pairs())
def test_whatever_comes_is_perfectly_similar_to_itself_or_undefined(name, pair):
    x, _ = pair
    found, rounding = value(name, x, x), 1e-9 * max(1, x.square().mean())
    assert found != found or abs(found - MEASURES[name].perfect) < rounding
