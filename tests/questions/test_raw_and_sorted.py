import itertools
import math

import numpy as np
import pytest
import torch

from frankenstein.questions.units.question import _CONTROLS, NETWORKS, Units, UnitsAnswer
from frankenstein.questions.units.raw_and_sorted import (
    KINDS,
    in_any_order,
    over_examples,
    raw_and_sorted,
)
from frankenstein.questions.units.unit_pairs import Paired, UnitPairs
from frankenstein.report import Picture
from frankenstein.shapes import ShapeError


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(1, 40, 12, generator=generator, dtype=torch.float64) for _ in "xy"]


def reference(x, y):
    """Row by row, from the definitions; x and y are (N, D) arrays."""
    found = {kind: [] for kind in KINDS}
    for a, b in zip(x, y, strict=True):
        for name, (u, v) in {"raw": (a, b), "sorted": (np.sort(a), np.sort(b))}.items():
            found[f"{name}_cosine"].append(u @ v / np.sqrt((u @ u) * (v @ v)))
            found[f"{name}_pearson"].append(np.corrcoef(u, v)[0, 1])
    return found


def test_equals_numpy_row_by_row(pair):
    x, y = pair
    expected = reference(x[0].numpy(), y[0].numpy())
    for values in raw_and_sorted(x.float(), y.float()).values():
        assert values.dtype == torch.float64
    for kind, values in raw_and_sorted(x, y).items():
        np.testing.assert_allclose(values[0, 0], expected[kind], atol=1e-12)


def test_many_networks_at_once_are_the_pairs_one_by_one():
    networks = torch.randn(3, 20, 7)
    together = raw_and_sorted(networks, networks)
    for i, j in itertools.product(range(3), repeat=2):
        alone = raw_and_sorted(networks[i][None], networks[j][None])
        for kind in KINDS:
            torch.testing.assert_close(together[kind][i, j], alone[kind][0, 0])


def test_sorted_is_the_largest_of_all_pairings_of_units(pair):
    x, y = (z[:, :4, :5] for z in pair)
    found = raw_and_sorted(x, y)
    orders = torch.tensor([*itertools.permutations(range(5))])
    pairings = raw_and_sorted(x, y[0][:, orders].movedim(1, 0))
    for name in ("cosine", "pearson"):
        best = pairings[f"raw_{name}"].amax(1)
        torch.testing.assert_close(found[f"sorted_{name}"][:, 0], best)


def test_order_of_units_is_felt_raw_only_and_scale_and_shift_as_the_kind_says(pair):
    x, y = pair
    found = raw_and_sorted(x, y)
    permuted = raw_and_sorted(x, y[:, :, torch.randperm(12)])
    scaled, shifted = raw_and_sorted(x, 3 * y), raw_and_sorted(x, y + 5)
    for kind in KINDS:
        same = torch.allclose(found[kind], permuted[kind])
        assert same == kind.startswith("sorted")
        torch.testing.assert_close(found[kind], scaled[kind])
        assert torch.allclose(found[kind], shifted[kind]) == kind.endswith("pearson")


def test_a_network_with_itself_is_one(pair):
    for values in raw_and_sorted(pair[0], pair[0]).values():
        torch.testing.assert_close(values, torch.ones_like(values))


def test_networks_of_unlike_width_compare_quantile_functions_and_have_no_raw_number(pair):
    x, y = pair[0], pair[1][:, :, :5]
    found = raw_and_sorted(x, y)
    levels = np.linspace(0, 1, 12)
    stretched = np.quantile(y[0].numpy(), levels, axis=1).T
    expected = reference(x[0].numpy(), stretched)
    for kind in ("sorted_cosine", "sorted_pearson"):
        np.testing.assert_allclose(found[kind][0, 0], expected[kind], atol=1e-12)
    for kind in ("raw_cosine", "raw_pearson"):
        assert found[kind].isnan().all()
        torch.testing.assert_close(raw_and_sorted(y, x)[kind], found[kind], equal_nan=True)
    one = raw_and_sorted(x, y[:, :, :1])  # a constant quantile function
    assert one["sorted_pearson"].isnan().all()


def test_rows_without_a_direction_have_no_number_and_are_left_out_of_the_mean(pair):
    x, y = pair[0].clone(), pair[1]
    x[0, 0] = 0  # no cosine, no correlation
    x[0, 1] = 0.1  # a cosine, no correlation
    found = raw_and_sorted(x, y)
    for kind, values in found.items():
        undefined = [True, kind.endswith("pearson"), False]
        assert values[0, 0, :3].isnan().tolist() == undefined
        mean, spread = over_examples(values)
        known = values[0, 0][~values[0, 0].isnan()].numpy()
        np.testing.assert_allclose([mean[0, 0], spread[0, 0]], [known.mean(), known.std()])
    mean, spread = over_examples(torch.full((2,), torch.nan))
    assert mean.isnan()
    assert spread.isnan()


def test_activations_of_other_examples_are_refused(pair):
    x, y = pair
    with pytest.raises(ShapeError, match=r"got \(1, 40, 12\) and \(1, 39, 12\)"):
        raw_and_sorted(x, y[:, :39])
    with pytest.raises(ShapeError, match=r"use unsqueeze\(0\) for one network"):
        raw_and_sorted(x[0], y[0])


def all_orders(x, y):
    """The raw numbers' means over examples, in all orders of y's units."""
    orders = torch.tensor([*itertools.permutations(range(y.shape[1]))])
    found = raw_and_sorted(x[None], y[:, orders].movedim(1, 0))
    return {kind: over_examples(found[kind])[0][0] for kind in ("raw_cosine", "raw_pearson")}


@pytest.mark.parametrize("units", [2, 3, 5, 7])
def test_chance_orders_are_those_of_an_enumeration_of_all(pair, units):
    x, y = pair[0][0, :, :units].exp(), pair[1][0, :, :units].exp()
    x[0], x[1] = 0, 0.1  # examples that have no number
    found = in_any_order(x, y)
    for kind, values in all_orders(x, y).items():
        value = values[0]  # the order there is
        mean, spread, chance = found[kind]
        assert mean == pytest.approx(float(values.mean()), abs=1e-12)
        assert spread == pytest.approx(float(values.std(correction=0)), abs=1e-12)
        exact = float((values >= value - 1e-12).double().mean())
        assert 1 / len(values) <= chance <= 1
        if units == 7:
            assert chance == pytest.approx(exact, rel=0.15, abs=0.01)


def test_the_skewness_of_chance_orders_is_that_of_all_of_them():
    m = torch.randn(7, 7, dtype=torch.float64).exp()
    sums = torch.tensor(
        [sum(m[i, j] for i, j in enumerate(order)) for order in itertools.permutations(range(7))]
    )
    away = sums - sums.mean()
    c = m - m.mean(0) - m.mean(1, keepdim=True) + m.mean()
    assert float(c.pow(3).sum() * 7 / (6 * 5)) == pytest.approx(float(away.pow(3).mean()))


def test_a_chance_order_is_told_from_others_as_seldom_as_p_says():
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(30, 16, generator=generator).double().pow(6) for _ in range(2))
    chances = [
        in_any_order(x, y[:, torch.randperm(16, generator=generator)])["raw_pearson"].chance
        for _ in range(2000)
    ]
    for level in (0.2, 0.05, 0.01):
        share = sum(p <= level for p in chances) / len(chances)
        assert share == pytest.approx(level, abs=3 * (level / 2000) ** 0.5)


@pytest.mark.parametrize("units", [5, 8])
def test_one_large_unit_of_few_makes_no_order_look_unlikely(units):
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.rand(5, units, generator=generator).double() for _ in range(2))
    x[:, 0] *= 50
    y[:, 0] *= 50  # these two meet in one order of as many as there are units
    orders = [torch.randperm(units, generator=generator) for _ in range(400)]
    chances = [in_any_order(x, y[:, order])["raw_pearson"].chance for order in orders]
    assert sum(p <= 0.05 for p in chances) / len(chances) <= 0.05 + 3 * (0.05 / 400) ** 0.5


def test_a_network_in_its_own_order_is_told_from_chance_and_others_have_no_order(pair):
    x, y = (z[0] for z in pair)
    assert 1 / math.factorial(12) <= in_any_order(x, x)["raw_pearson"].chance < 1e-7
    assert in_any_order(x[:, :1], y[:, :1])["raw_cosine"][1:] == (0, 1)
    constant = torch.ones(40, 5)
    assert in_any_order(constant, constant)["raw_cosine"][1:] == (0, 1)
    assert all(math.isnan(one) for one in in_any_order(constant, constant)["raw_pearson"])
    with pytest.raises(ShapeError, match=r"need rows of one length, got \(40, 12\) and \(40, 4\)"):
        in_any_order(x, y[:, :4])


def test_networks_of_other_widths_have_no_raw_numbers_and_no_empty_columns_or_figures():
    values = {name: dict.fromkeys(KINDS, (0.5, 0.1)) for name in (NETWORKS, *_CONTROLS)}
    pairs = Paired(UnitPairs([0], [2], [0.9], 1), [UnitPairs([1], [1], [0.4], 1)], (32, 48))
    untrained = {key: [0.1, 0.2] for key in KINDS}
    answer = UnitsAnswer(9, {"fc1": values}, {"fc1": {}}, {"fc1": untrained}, {"fc1": pairs})
    section = Units().show(answer)
    told = "no raw numbers of fc1 (32 and 48 units): widths differ"
    assert told in section.short.sentence
    assert [one.name for one in section.blocks if isinstance(one, Picture)] == ["sorted_pearson"]
    words = "\n".join(one for one in section.blocks if isinstance(one, str))
    assert told in words
    assert "raw pearson" not in words
    assert "| units shuffled" not in words
    assert "n/a" not in words
    assert "| fc1   |           0 |             2 |       0.900 |     0.400 |" in words
