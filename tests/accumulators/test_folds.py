import pytest
import torch

from frankenstein.accumulators.folds import Folds, folds_of
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError


@pytest.fixture
def pair():
    return torch.randn(23, 3, 4, 4), torch.randn(23, 2, 4, 4)


def check_same(moments, expected):
    assert moments.n == expected.n
    for pair in ("xx", "xy", "yy"):
        torch.testing.assert_close(moments.covariance(pair), expected.covariance(pair))
    for side in "xy":
        torch.testing.assert_close(moments.mean(side), expected.mean(side))


@pytest.mark.parametrize("size", [1, 4, 7, 23])
def test_example_i_is_in_part_i_modulo_their_number_whatever_the_batches(pair, size):
    x, y = pair
    folds = Folds(4)
    for a, b in zip(x.split(size), y.split(size), strict=True):
        folds.update(a, b)
    for i, part in enumerate(folds.parts):
        check_same(part, Moments().update(x[i::4], y[i::4]))


def test_the_rest_is_every_part_but_one(pair):
    x, y = pair
    folds = folds_of(x, y, 3)
    for i in range(3):
        rest = torch.arange(23) % 3 != i
        check_same(folds.without(i), Moments().update(x[rest], y[rest]))


def test_merged_folds_are_those_of_all_examples(pair):
    x, y = pair
    whole, merged = folds_of(x, y), folds_of(x[:10], y[:10]).merge(folds_of(x[10:], y[10:]))
    for part, expected in zip(merged.parts, whole.parts, strict=True):
        check_same(part, expected)


def test_what_is_no_folds_is_refused(pair):
    with pytest.raises(UserError, match=r"needs sums by parts; give it Folds, .* got Moments"):
        folds_of(Moments().update(*pair))
    with pytest.raises(UserError, match="or two representations; got one representation"):
        folds_of(pair[0])
    with pytest.raises(UserError, match="takes two parts or more, got 1"):
        Folds(1)
