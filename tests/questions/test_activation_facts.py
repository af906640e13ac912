import numpy as np
import pytest
import torch

from frankenstein.errors import UserError
from frankenstein.questions.activations.facts import (
    ActivationSums,
    class_selectivity,
    class_variance,
    participation_ratio,
)
from frankenstein.questions.streams import TopExamples


def sums_of(batches, **options):
    sums = ActivationSums(**options)
    for batch in batches:
        sums.update(batch)
    return sums


@pytest.fixture
def maps():
    z = torch.randn(30, 5, 4, 4).relu()
    z[:, 1] = 0  # dead
    z[:, 2] = 0.7  # dead, too: one value for all
    return z


def test_facts_equal_numpy_over_all_examples_and_places(maps):
    facts = sums_of(maps.split(7)).result()
    rows = maps.movedim(1, -1).reshape(-1, 5).double().numpy()
    n = len(rows)
    live = [0, 3, 4]
    ratio = (np.abs(rows).mean(0)[live] ** 2) / (rows**2).mean(0)[live]
    expected = {
        "dead": 2 / 5,
        "zeros": (rows == 0).mean(),
        "rms": np.sqrt((rows**2).mean()),
        "sparseness": ((1 - ratio) / (1 - 1 / n)).mean(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(facts, name), value, rtol=1e-6)
    assert facts.dead_units.tolist() == [False, True, True, False, False]
    assert np.isnan([facts.saturated_values, facts.saturated_units]).all()
    assert facts.histogram[0].sum() == rows.size


def test_maps_tokens_and_rows_say_the_same(maps):
    tokens = maps.flatten(2).mT
    rows = maps.movedim(1, -1).reshape(-1, 5)
    one, *others = (sums_of(z.split(10)).result() for z in (maps, tokens, rows))
    for other in others:
        for name in ("dead", "zeros", "rms", "sparseness"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6)


def test_sparseness_is_zero_of_equal_sizes_and_one_of_a_single_value():
    z = torch.zeros(50, 2)
    z[:, 0] = torch.tensor([1.0, -1.0]).repeat(25)
    z[3, 1] = 4
    for unit, value in ((0, 0), (1, 1)):
        assert sums_of([z[:, [unit]]]).result().sparseness == pytest.approx(value)


def test_saturation_is_counted_near_the_bounds_of_the_nonlinearity():
    z = torch.tensor([[0.96, 0.0], [-0.97, 0.94], [1.0, 0.5], [-1.0, 0.955]])
    facts = sums_of(z.split(2), bounds=(-1.0, 1.0)).result()
    assert facts.saturated_values == 5 / 8
    assert facts.saturated_units == 1 / 2
    facts = sums_of([torch.tensor([[0.0, 5.9], [6.0, 6.0]])], bounds=(-torch.inf, 6.0)).result()
    assert (facts.saturated_values, facts.saturated_units) == (3 / 4, 1 / 2)


def test_no_examples_and_nan_are_refused():
    with pytest.raises(UserError, match="no examples were given"):
        ActivationSums().result()
    with pytest.raises(UserError, match="there are NaN or Inf among the numbers"):
        sums_of([torch.full((2, 3), torch.nan)]).result()


def test_top_examples_are_those_of_a_full_sort_in_any_batches():
    values = torch.randint(9, (40, 6)).float()  # many are equal: the first to come is kept
    expected = values.T.sort(dim=1, descending=True, stable=True)
    for size in (1, 7, 40):
        top = TopExamples(5)
        for batch in values.split(size):
            top.update(batch)
        assert torch.equal(top.values, expected.values[:, :5])
        assert torch.equal(top.rows, expected.indices[:, :5])


def test_an_example_counts_by_its_largest_value_over_places(maps):
    sums = sums_of(maps.split(8), k=3)
    assert torch.equal(sums.top.rows[3], maps.amax((2, 3))[:, 3].argsort(descending=True)[:3])


def test_selectivity_equals_its_definition_unit_by_unit():
    z, labels = torch.rand(60, 4), torch.arange(60) % 3
    z[:, 2] = 0
    z[:, 3] -= 0.9  # negative means
    found = class_selectivity(z, labels)
    for unit in (0, 1):
        means = [z[labels == c, unit].double().mean().item() for c in range(3)]
        largest = max(means)
        others = (sum(means) - largest) / 2
        assert found[unit].item() == pytest.approx((largest - others) / (largest + others))
    assert found[2:].isnan().all()


def test_selectivity_is_one_for_one_class_alone_and_zero_for_all_alike():
    labels = torch.arange(40) % 4
    z = torch.stack([(labels == 2).float(), torch.ones(40)], 1)
    assert class_selectivity(z, labels).tolist() == [1, 0]
    several = torch.nn.functional.one_hot(labels).float()
    assert torch.equal(class_selectivity(z, several), class_selectivity(z, labels))
    assert class_selectivity(z[:3], torch.zeros(3, dtype=torch.int64)).isnan().all()


def test_class_variance_is_the_correlation_ratio_one_if_classes_say_all_and_small_by_chance():
    labels = torch.arange(300) % 5
    z = torch.stack([labels.float() ** 2, torch.randn(300), torch.full((300,), 0.1)], 1)
    found = class_variance(z, labels)
    assert found[0].item() == pytest.approx(1)
    x = z[:, 1].double().numpy()
    groups = [x[labels.numpy() == c] for c in range(5)]
    between = sum(len(g) * (g.mean() - x.mean()) ** 2 for g in groups)
    assert found[1].item() == pytest.approx(between / ((x - x.mean()) ** 2).sum())
    assert found[1] < 0.06  # expected: 4 / 299
    assert found[2].isnan()


def test_participation_ratio_equals_that_of_the_eigenvalues_and_its_extremes():
    z = torch.randn(50, 6, dtype=torch.float64) * torch.arange(1, 7)
    values = np.linalg.eigvalsh(np.cov(z.numpy().T))
    expected = values.sum() ** 2 / (values**2).sum()
    assert participation_ratio(z).item() == pytest.approx(expected)
    few = z[:4]
    values = np.linalg.eigvalsh(np.cov(few.numpy().T))
    assert participation_ratio(few).item() == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert participation_ratio(few) <= 3
    assert participation_ratio(z[:, :1].expand(-1, 6)).item() == pytest.approx(1)
    alike = torch.linalg.qr(z - z.mean(0)).Q
    assert participation_ratio(alike).item() == pytest.approx(6)
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    torch.testing.assert_close(participation_ratio(3 * z @ rotation + 1), participation_ratio(z))
    assert participation_ratio(torch.ones(5, 3)).isnan()
