import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import (
    UndefinedSimilarityWarning,
    linear_cka,
    mean_cca,
    mean_squared_cca,
    mean_squared_distance,
    unbiased_cka,
    unit_correlation,
)
from frankenstein.moments import Moments
from frankenstein.shapes import ShapeError

OF_ANY_BASIS = [m for m in MEASURES if m not in ("unit_correlation", "mean_squared_distance")]
OF_VARIANCE = [m for m in MEASURES if m != "mean_squared_distance"]


def check_undefined(name, x, y, reason):
    with pytest.warns(UndefinedSimilarityWarning, match=f"{name} is undefined: .*{reason}"):
        assert MEASURES[name](x, y).isnan()


@pytest.mark.parametrize("name", OF_VARIANCE)
@pytest.mark.parametrize("value", [0.0, 0.1, -12345.678, 1e-8])
def test_a_representation_that_does_not_vary_is_like_nothing(name, value):
    x = torch.randn(40, 3)
    constant = torch.full((40, 3), value)
    reason = "" if name == "unit_correlation" else "the {} representation is the same"
    check_undefined(name, constant, x, reason.format("first"))
    check_undefined(name, x, constant, reason.format("second"))
    check_undefined(name, constant, constant, reason.format("first"))


@pytest.mark.parametrize("name", OF_VARIANCE)
def test_one_example_does_not_vary(name):
    check_undefined(name, torch.randn(1, 3), torch.randn(1, 3), "")


def test_the_distance_of_constants_is_defined():
    distance = mean_squared_distance(torch.full((5, 3), 1.0), torch.full((5, 3), 3.0))
    assert distance == 12


@pytest.mark.parametrize("n", [2, 3])
def test_unbiased_cka_needs_four_examples(n):
    x = torch.randn(n, 2)
    check_undefined("unbiased_cka", x, x, f"it needs at least 4 examples, got {n}")
    assert linear_cka(x, x).isfinite()
    assert unbiased_cka(torch.randn(4, 2), torch.randn(4, 2)).isfinite()


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("n", [5, 50])
def test_unbiased_cka_knows_no_direction_where_all_pairs_of_examples_are_alike(n, offset):
    y = torch.randn(n, 3)
    fires_once = torch.zeros(n, 2)
    fires_once[0] = torch.tensor([1.0, 0.3])
    for x in (torch.eye(n), 1.7 * torch.eye(n), fires_once):
        check_undefined("unbiased_cka", x + offset, y, "HSIC of one with itself is 0")
        check_undefined("unbiased_cka", y, x + offset, "HSIC of one with itself is 0")


@pytest.mark.parametrize("measure", [mean_cca, mean_squared_cca])
def test_cca_needs_more_examples_than_directions_of_both(measure):
    check_undefined(
        measure.__name__,
        torch.randn(9, 5),
        torch.randn(9, 4),
        "9 examples are too few for 5 and 4 directions",
    )
    assert measure(torch.randn(10, 5), torch.randn(10, 4)) < 1


def test_cca_counts_directions_and_not_units():
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    assert abs(mean_cca(torch.cat([x, x, 0 * x], 1), y) - mean_cca(x, y)) < 1e-9


def test_a_dead_unit_is_left_out_of_the_unit_correlation():
    x, y = torch.randn(50, 3), torch.randn(50, 3)
    more = [torch.cat([z, d], 1) for z, d in ((x, torch.zeros(50, 1)), (y, torch.randn(50, 1)))]
    torch.testing.assert_close(unit_correlation(*more), unit_correlation(x, y))


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_inf_are_refused_by_name(name, value):
    x, y = torch.randn(20, 3), torch.randn(20, 3)
    bad = x.clone()
    bad[4, 1] = value
    with pytest.raises(UserError, match="NaN or Inf in the first representation"):
        MEASURES[name](bad, y)
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        MEASURES[name](x, bad)


@pytest.mark.parametrize("name", MEASURES)
def test_no_examples_are_refused(name):
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        MEASURES[name](torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(UserError, match="no examples were given"):
        MEASURES[name](Moments())


@pytest.mark.parametrize("name", MEASURES)
def test_different_examples_are_refused(name):
    with pytest.raises(ShapeError, match="got 5 and 6 rows; use one loader for both"):
        MEASURES[name](torch.zeros(5, 3), torch.zeros(6, 3))


@pytest.mark.parametrize("name", MEASURES)
def test_one_representation_alone_is_refused(name):
    with pytest.raises(UserError, match="or two representations; got one representation"):
        MEASURES[name](torch.zeros(5, 3))


@pytest.mark.parametrize("name", MEASURES)
def test_only_measures_in_the_units_themselves_need_as_many_of_them(name):
    x, y = torch.randn(50, 3), torch.randn(50, 4)
    if name in OF_ANY_BASIS:
        assert MEASURES[name](x, y).isfinite()
    else:
        with pytest.raises(ShapeError, match="x has 3 units and y has 4; use a measure that is"):
            MEASURES[name](x, y)
