"""Sums of every class: what is left once class means are taken off both sides."""

import pytest
import torch

from frankenstein.accumulators.classes import ByClass, LayerClasses, within_of_sums
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import (
    LayerSimilarities,
    UndefinedSimilarityWarning,
    linear_cka,
    unbiased_cka,
    within_class_linear_cka,
    within_class_r_squared,
    within_class_unbiased_cka,
)
from frankenstein.shapes import ShapeError, per_location, pooled


def left(z, labels):
    """Rows less their class's mean, by hand."""
    return torch.cat([z[labels == c] - z[labels == c].mean(0) for c in labels.unique()])


@pytest.mark.parametrize("units", [5, 600])  # sums, or rows while they are few
def test_moments_within_are_those_of_rows_less_their_class_mean(units):
    x, y = torch.randn(90, units).double() + 1e4, torch.randn(90, 4).double()
    labels = torch.randint(3, (90,))
    kept = ByClass()
    for rows in torch.arange(90).split(13):
        kept.update(x[rows], y[rows], labels[rows])
    within = kept.frozen()
    expected = Moments().update(left(x, labels), left(y, labels))
    for pair in ("xx", "xy", "yy"):
        found = within.moments.covariance(pair)
        torch.testing.assert_close(found, expected.covariance(pair), rtol=1e-7, atol=1e-9)
    assert within.means == 3
    value = unbiased_cka(left(x, labels), left(y, labels))
    assert within_class_unbiased_cka(x, y, labels) == pytest.approx(float(value), abs=1e-9)


def test_all_layers_at_once_are_each_pair_alone_and_together_all_examples():
    xs = {"a": torch.randn(60, 3, 2, 2), "b": torch.randn(60, 5, 2, 2)}
    ys = {"c": torch.randn(60, 4, 2, 2) + 3}
    labels = torch.randint(4, (60,))
    kept = LayerClasses(per_location)
    for rows in torch.arange(60).split(17):
        some = [{s: z[rows] for s, z in side.items()} for side in (xs, ys)]
        kept.update(*some, labels[rows])
    for name, x in xs.items():
        alone = ByClass(per_location).update(x, ys["c"], labels).frozen()
        pair = kept.pair(name, "c")
        for one, other in ((pair, alone),):
            torch.testing.assert_close(one.moments.covariance("xy"), other.moments.covariance("xy"))
        assert pair.moments.n == alone.moments.n == 240
        whole = Moments(per_location).update(x, ys["c"])
        found = kept.whole.pair(name, "c")
        torch.testing.assert_close(unbiased_cka(found), unbiased_cka(whole))


def test_measures_of_all_examples_come_from_the_sums_of_classes_where_these_are_kept():
    x, y, labels = torch.randn(50, 4), torch.randn(50, 3), torch.randint(3, (50,))
    names = ["linear_cka", "within_class_linear_cka", "mean_cca"]
    kept = LayerSimilarities(names, "pooled", block=None)
    for rows in torch.arange(50).split(20):
        kept.update({"x": x[rows]}, {"y": y[rows]}, None, labels[rows])
    assert [*kept._kept] == [("classes", "pooled")]
    values = kept.values()
    assert float(values["linear_cka"]) == pytest.approx(float(linear_cka(x, y)))
    found = float(values["within_class_linear_cka"])
    assert found == pytest.approx(float(within_class_linear_cka(x, y, labels)))


def class_sums(x, y, labels):
    """What `within_of_sums` takes, of up to K classes."""
    whole = Moments().update(x, y)
    one_hot = torch.nn.functional.one_hot(labels).double()
    sums = {"x": one_hot.T @ (x - whole.shift["x"]), "y": one_hot.T @ (y - whole.shift["y"])}
    return whole, one_hot.sum(0), sums


def test_a_class_of_one_row_counts_for_nothing_in_class_sums_either():
    x, y, labels = torch.randn(40, 6).double(), torch.randn(40, 6).double(), torch.arange(40)
    labels[:10] = torch.arange(10) // 2  # five classes of two
    within = within_of_sums(*class_sums(x, y, labels))
    assert (within.moments.n, within.means) == (10, 5)
    with pytest.warns(UndefinedSimilarityWarning, match="10 examples of 5 classes are too few"):
        assert within_class_r_squared(within).isnan()


def test_classes_too_far_apart_for_sums_are_undefined_and_not_wrong():
    labels = torch.arange(200) % 4
    far = 1e6 * torch.randn(4, 3).double()[labels]
    x, y = torch.randn(200, 3).double() + far, torch.randn(200, 3).double() + far
    with pytest.warns(UndefinedSimilarityWarning):
        assert within_class_linear_cka(within_of_sums(*class_sums(x, y, labels))).isnan()


def test_covariances_within_follow_from_class_sums_alone():
    x, y, labels = torch.randn(70, 4).double(), torch.randn(70, 3).double(), torch.arange(70) % 5
    x[:, 2] = labels * 0.1  # constant within every class
    whole = Moments().update(x, y)
    one_hot = torch.nn.functional.one_hot(labels, 7).double()
    sums = {"x": one_hot.T @ (x - whole.shift["x"]), "y": one_hot.T @ (y - whole.shift["y"])}
    within = within_of_sums(whole, one_hot.sum(0), sums)
    assert within.means == 5
    expected = Moments().update(left(x, labels), left(y, labels)).covariance("xy")
    torch.testing.assert_close(within.moments.covariance("xy"), expected, atol=1e-12, rtol=0)
    assert within.moments.variance("x")[2] == 0
    for measure in (within_class_linear_cka, within_class_r_squared):
        assert measure(within) == pytest.approx(float(measure(x, y, labels)), abs=1e-9)


def test_noise_that_depends_on_the_class_is_like_only_across_classes():
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(2000) % 5
    means = torch.randn(2, 5, 6, generator=draw)
    x, y = (3 * m[labels] + torch.randn(2000, 6, generator=draw) for m in means)
    assert unbiased_cka(x, y) > 0.3
    assert abs(within_class_unbiased_cka(x, y, labels)) < 0.01
    # And what the two have in common within classes is found.
    shared = torch.randn(2000, 6, generator=draw)
    assert within_class_unbiased_cka(x + 3 * shared, y + 3 * shared, labels) > 0.8


def test_what_is_constant_within_classes_is_undefined():
    labels = torch.arange(40) % 4
    x, y = labels[:, None] * torch.tensor([0.1, 0.7]), torch.randn(40, 2)
    with pytest.warns(UndefinedSimilarityWarning, match="within_class_unbiased_cka is undefined"):
        assert within_class_unbiased_cka(x, y, labels).isnan()
    with pytest.warns(UndefinedSimilarityWarning, match="of a class, one at most"):
        assert within_class_linear_cka(y, y, torch.arange(40)).isnan()
    with pytest.warns(UndefinedSimilarityWarning, match=r"classes are too few for \d+ directions"):
        assert within_class_r_squared(torch.randn(9, 6), y[:9], labels[:9]).isnan()


def test_a_class_of_one_example_is_left_out():
    x, y, labels = torch.randn(41, 3), torch.randn(41, 3), torch.arange(41) % 4
    labels[40] = 9
    found = within_class_unbiased_cka(x, y, labels)
    assert found == pytest.approx(float(within_class_unbiased_cka(x[:40], y[:40], labels[:40])))


def test_labels_that_are_none_or_several_are_refused():
    x = torch.randn(8, 3)
    with pytest.raises(ShapeError, match="one class of each example, a whole number, got labels"):
        within_class_linear_cka(x, x, torch.ones(8, 2))
    with pytest.raises(ShapeError, match="got 7 labels for 8 examples"):
        within_class_linear_cka(x, x, torch.zeros(7).long())
    with pytest.raises(UserError, match="needs the class of each example: give it labels"):
        within_class_linear_cka(x, x)
    with pytest.raises(UserError, match="within_class_linear_cka needs the class of each example"):
        LayerSimilarities(["within_class_linear_cka"]).update({"a": x}, {"a": x})


def test_small_batches_are_held_and_give_the_same_sums():
    x, y, labels = torch.randn(90, 3, 2, 2), torch.randn(90, 4, 2, 2), torch.randint(4, (90,))
    for flatten in (per_location, pooled):
        one = LayerClasses(flatten).update({"x": x}, {"y": y}, labels)
        many = LayerClasses(flatten)
        for rows in torch.arange(90).split(7):
            many.update({"x": x[rows]}, {"y": y[rows]}, labels[rows])
        assert many._held
        found, expected = (kept.pair("x", "y").moments for kept in (many, one))
        assert not many._held
        assert found.n == expected.n
        assert unbiased_cka(found) == pytest.approx(float(unbiased_cka(expected)), abs=1e-10)
        with pytest.raises(ShapeError, match="got 89 labels for 90 examples"):
            many.update({"x": x}, {"y": y}, labels[1:])


def test_many_classes_of_many_units_are_refused_before_memory_is_full(monkeypatch):
    monkeypatch.setattr("frankenstein.accumulators.classes._NUMBERS", 1000)
    x = {"a": torch.randn(40, 10)}
    with pytest.raises(UserError, match="sums of 8 classes by themselves take"):
        LayerClasses(pooled).update(x, x, torch.arange(40) % 8)
