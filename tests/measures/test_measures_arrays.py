import numpy as np
import pytest
import torch

from frankenstein.catalog import MEASURES
from frankenstein.measures import agreement, hits_table, jensen_shannon, linear_cka
from frankenstein.metrics import Similarity, SimilarityMatrix
from frankenstein.shapes import ShapeError


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_are_taken_as_tensors_are_with_all_their_digits(name, dtype, value):
    random = np.random.default_rng(0)
    shared = random.normal(size=(40, 1))
    x, y = ((shared + random.normal(size=(40, 3))).astype(dtype) for _ in range(2))
    expected = value(name, torch.tensor(x), torch.tensor(y))
    assert value(name, x, y) == expected
    assert value(name, x, torch.tensor(y)) == expected
    if dtype == np.float64:
        assert value(name, x.tolist(), y.tolist()) == expected


def test_arrays_are_taken_however_they_lie_in_memory_and_are_not_written_into():
    x = np.random.default_rng(0).normal(size=(40, 6))
    expected = linear_cka(torch.tensor(x[::-1, ::2].copy()), torch.tensor(x)).item()
    frozen = x.copy()
    frozen.flags.writeable = False
    for given in (frozen, np.asfortranarray(x), x.astype(">f8"), x.astype(np.longdouble)):
        assert linear_cka(given[::-1, ::2], given).item() == pytest.approx(expected, rel=1e-14)
    assert np.array_equal(frozen, x)
    whole = (x * 10).astype(np.int16)
    assert linear_cka(whole, whole > 0) == linear_cka(
        whole.astype(float), (whole > 0).astype(float)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a word", "an array of numbers, got str"),
        ([[1.0, 2.0], [3.0]], "got a list whose rows are not numbers of one length"),
        (np.array([["a"]]), "got ndarray of <U1"),
        (np.ones((4, 2), dtype=complex), "got ndarray of complex128"),
        (np.ones(4), r"got shape \(\d,\); .* a single unit z\[:, None\]"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_in_one_line(given, said, value):
    for name in ("linear_cka", "mutual_knn", "cross_validated_r_squared"):
        with pytest.raises(ShapeError, match=said):
            value(name, given, np.ones((4, 2)))


def test_true_and_false_are_1_and_0_and_complex_numbers_are_refused():
    x, y = torch.randn(40, 3) > 0, torch.randn(40, 3)
    assert linear_cka(x, y) == linear_cka(x.float(), y)
    with pytest.raises(ShapeError, match="a representation holds real numbers, got"):
        linear_cka(torch.randn(40, 3, dtype=torch.complex64), y)


def test_answers_may_be_arrays_too():
    x, y = np.array([[0.0, 1.0], [2.0, 1.0]]), np.array([[3.0, 1.0], [2.0, 1.0]])
    assert agreement(x, y).tolist() == [False, True]
    assert hits_table(x, y, np.array([1, 0])).tolist() == [[0, 0], [1, 1]]
    assert jensen_shannon(x, y.tolist()).shape == (2,)


def test_metrics_take_arrays():
    x, y = np.random.default_rng(0).normal(size=(2, 30, 4))
    one = Similarity("linear_cka")
    one.update(x, y)
    assert one.compute().item() == pytest.approx(linear_cka(x, y).item(), rel=1e-12)
    for measure in ("linear_cka", "unbiased_cka"):
        matrix = SimilarityMatrix(measure, ["a", "b"], ["b"])
        matrix.update({"a": x, "b": y}, {"b": y})
        assert matrix.compute()[1, 0].item() == pytest.approx(1)
