import pytest
import torch

from frankenstein.accumulators.folds import Folds, folds_of
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.numbered import parts_of
from frankenstein.errors import UserError
from frankenstein.measures import cross_validated_r_squared


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
def test_the_number_of_an_example_draws_its_part_whatever_the_batches(pair, size):
    x, y = pair
    folds = Folds(4)
    for a, b in zip(x.split(size), y.split(size), strict=True):
        folds.update(a, b)
    drawn = parts_of(torch.arange(23), 4)
    for i, part in enumerate(folds.parts):
        check_same(part, Moments().update(x[drawn == i], y[drawn == i]))


def test_the_rest_is_every_part_but_one(pair):
    x, y = pair
    folds = folds_of(x, y, 3)
    for i in range(3):
        rest = parts_of(torch.arange(23), 3) != i
        check_same(folds.without(i), Moments().update(x[rest], y[rest]))
        check_same(folds.without(i).of_side("y"), Moments().update(y[rest], y[rest]))


def test_merged_folds_add_up_part_by_part(pair):
    x, y = pair
    merged = folds_of(x[:10], y[:10]).merge(folds_of(x[10:], y[10:]))
    drawn = torch.cat([parts_of(torch.arange(n), 5) for n in (10, 13)])
    for i, part in enumerate(merged.parts):
        check_same(part, Moments().update(x[drawn == i], y[drawn == i]))
    assert merged.n_seen == 23


@pytest.mark.parametrize("order", ["sorted", "cycled", "shuffled"])
@pytest.mark.parametrize("classes", [2, 5, 10])
def test_cross_validation_is_the_same_for_any_order_of_the_labels(order, classes):
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % classes  # cycled
    y = torch.nn.functional.one_hot(labels).double() + 0.3 * torch.randn(
        300, classes, generator=draw
    )
    x = y + 0.3 * torch.randn(300, classes, generator=draw)
    orders = {"sorted": labels.argsort(), "cycled": torch.arange(300)}
    orders["shuffled"] = torch.randperm(300, generator=draw)
    folds = [torch.randperm(300, generator=draw) for _ in range(20)]
    expected = torch.stack([cross_validated_r_squared(x[some], y[some]) for some in folds])
    found = cross_validated_r_squared(x[orders[order]], y[orders[order]])
    assert abs(found - expected.mean()) < 4 * expected.std()
    assert expected.std() < 0.01


def test_what_is_no_folds_is_refused(pair):
    with pytest.raises(UserError, match=r"needs sums by parts; give it Folds, .* got Moments"):
        folds_of(Moments().update(*pair))
    with pytest.raises(UserError, match="or two representations; got one representation"):
        folds_of(pair[0])
    with pytest.raises(UserError, match="takes two parts or more, got 1"):
        Folds(1)
