"""Answers of two networks against their definitions in float64 NumPy and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import distance
from scipy.special import log_softmax, softmax

from frankenstein.measures import (
    agreement,
    cross_entropy_between,
    hits_table,
    jensen_shannon,
    normalized_disagreement,
)
from frankenstein.shapes import ShapeError

FUNCTIONS = [agreement, cross_entropy_between, jensen_shannon]


@pytest.fixture(params=[(50, 10), (20, 4, 2)], ids=["one question", "several questions"])
def pair(request):
    return [5 * torch.randn(request.param) for _ in range(2)]


def numpy_of(pair):
    return [z.double().numpy() for z in pair]


def test_jensen_shannon_is_the_square_of_scipys_distance(pair):
    x, y = numpy_of(pair)
    expected = distance.jensenshannon(softmax(x, -1), softmax(y, -1), axis=-1) ** 2
    np.testing.assert_allclose(jensen_shannon(*pair), expected, atol=1e-12)


def test_cross_entropy_is_the_definition(pair):
    x, y = numpy_of(pair)
    expected = -(softmax(y, -1) * log_softmax(x, -1)).sum(-1)
    np.testing.assert_allclose(cross_entropy_between(*pair), expected, atol=1e-12)


def test_agreement_and_hits_are_counted(pair):
    x, y = (z.argmax(-1) for z in numpy_of(pair))
    labels = torch.randint(pair[0].shape[-1], pair[0].shape[:-1])
    np.testing.assert_array_equal(agreement(*pair), x == y)
    right = x == labels.numpy(), y == labels.numpy()
    expected = [[np.sum((right[0] == i) & (right[1] == j)) for j in (0, 1)] for i in (0, 1)]
    assert hits_table(*pair, labels).tolist() == expected


def test_the_divergence_is_symmetric_within_its_range_and_0_for_the_same(pair):
    x, y = pair
    divergence = jensen_shannon(x, y)
    torch.testing.assert_close(divergence, jensen_shannon(y, x))
    assert ((divergence > 0) & (divergence < math.log(2))).all()
    assert (jensen_shannon(x, x) == 0).all()


def test_the_cross_entropy_is_least_for_the_same_distributions(pair):
    x, y = pair
    assert (cross_entropy_between(x, y) > cross_entropy_between(y, y)).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_constant_added_to_all_logits_of_an_example_changes_nothing(function, pair):
    x, y = (z.double() for z in pair)
    shifted = function(x + 7, y - 3)
    torch.testing.assert_close(shifted, function(x, y))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_confident_answers_are_finite(dtype):
    x = torch.tensor([[1e4, 0, 0], [0, 1e4, 0]], dtype=dtype)
    torch.testing.assert_close(
        jensen_shannon(x, x.flip(0)), torch.full((2,), math.log(2), dtype=torch.float64)
    )
    assert cross_entropy_between(x, x.flip(0)).tolist() == [1e4, 1e4]
    assert jensen_shannon(x, x).tolist() == cross_entropy_between(x, x).tolist() == [0, 0]


@pytest.mark.parametrize("function", [*FUNCTIONS, lambda x, y: hits_table(x, y, x[:, 0].long())])
def test_answers_to_other_questions_are_refused(function):
    with pytest.raises(ShapeError, match=r"got shapes \(4, 3\) and \(5, 3\); use one loader"):
        function(torch.zeros(4, 3), torch.zeros(5, 3))


def test_normalized_disagreement_is_where_between_its_bounds_the_disagreement_lies(pair):
    x, y = (z.argmax(-1) for z in numpy_of(pair))
    labels = np.where(np.arange(x.size).reshape(x.shape) % 3 == 0, x, y)
    errors = [np.mean(z != labels) for z in (x, y)]
    least, most = abs(errors[0] - errors[1]), min(sum(errors), 1)
    expected = (np.mean(x != y) - least) / (most - least)
    found = normalized_disagreement(np.mean(x == y), 1 - errors[0], 1 - errors[1])
    assert found == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("agreement", "accuracies", "expected"),
    [
        (0.7, (0.9, 0.6), 0.0),  # wrong where the other is, and more often
        (0.5, (0.9, 0.6), 1.0),  # never wrong at once
        (1.0, (0.5, 0.5), 0.0),
        (0.0, (0.3, 0.4), 1.0),  # wrong at once, but otherwise
        (0.6, (1.0, 0.6), math.nan),  # one is never wrong: the other differs where it is
        (1.0, (1.0, 1.0), math.nan),
    ],
)
def test_the_error_rates_are_its_bounds(agreement, accuracies, expected):
    found = normalized_disagreement(agreement, *accuracies)
    assert found == pytest.approx(expected, nan_ok=True)
    back = normalized_disagreement(agreement, *reversed(accuracies))
    assert back == pytest.approx(expected, nan_ok=True)
