import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from frankenstein.accumulators.numbered import parts_of
from frankenstein.errors import UserError
from frankenstein.stitching.off_distribution import ReferenceSums, Share, unit_statistics


def maps(n, units=5):
    """Correlated units; unit 0 is dead."""
    mix = torch.randn(units, units, generator=torch.Generator().manual_seed(1))
    level = torch.randn(n, units, 1, 1)
    z = torch.einsum("de,nehw->ndhw", mix, level + 0.5 * torch.randn(n, units, 4, 4))
    z[:, 0] = 0
    return z


def reference(z, size=64):
    known = ReferenceSums()
    for batch in z.split(size):
        known.update(batch)
    return known.solve()


def shares(**others):
    known = Share(reference(maps(2000)))
    held_out = maps(1000)
    known.update("receiver", held_out)
    for name, change in others.items():
        for batch in held_out.split(300):  # other batches than the receiver's
            known.update(name, change(batch))
    return known.shares()


def test_a_score_is_the_mahalanobis_distance_of_the_units_statistics():
    train, z = maps(500).double(), maps(10).double()
    places = train.flatten(2).numpy()
    rows = np.concatenate([places.mean(2), places.std(2)], 1)
    covariance = np.cov(rows.T, bias=True)
    covariance += 1e-2 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse, mean = np.linalg.inv(covariance), rows.mean(0)
    expected = [mahalanobis(row, mean, inverse) ** 2 for row in unit_statistics(z).numpy()]
    np.testing.assert_allclose(reference(train).score(z), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "shape", [(6, 5), (6, 7, 5), (6, 5, 3, 3)], ids=["vector", "tokens", "map"]
)
def test_statistics_are_of_every_unit(shape):
    z = torch.randn(shape)
    statistics = unit_statistics(z)
    if len(shape) == 2:
        torch.testing.assert_close(statistics, z.double())
        return
    axes = (2, 3) if len(shape) == 4 else (1,)
    torch.testing.assert_close(statistics[:, :5].float(), z.mean(axes))
    torch.testing.assert_close(statistics[:, 5:].float(), z.std(axes, correction=0))


def test_about_one_in_twenty_of_the_receivers_own_lies_outside():
    found = shares(same=lambda z: z)
    assert 0.02 < found["receiver"] < 0.09
    assert found["same"] == found["receiver"]


def test_what_the_receiver_does_not_make_lies_outside():
    def revived(z):
        z = z.clone()
        z[:, 0] = z[:, 1]
        return z

    found = shares(
        moved=lambda z: z + 20,
        scaled=lambda z: 5 * z,
        flat=lambda z: z.mean((2, 3), keepdim=True).expand_as(z),
        swapped=lambda z: z.roll(1, 1),
        revived=revived,
        nan=lambda z: torch.full_like(z, math.nan),
    )
    assert found.pop("receiver") < 0.09
    assert all(share > 0.8 for share in found.values()), found


def test_places_may_be_rearranged_and_means_of_examples_lie_inside():
    found = shares(turned=lambda z: z.flip(-1), mixed=lambda z: (z + z.roll(1, 0)) / 2)
    assert found["turned"] == pytest.approx(found["receiver"], abs=0.01)
    assert found["mixed"] < 0.2


def test_a_lower_percentile_leaves_more_outside():
    target = maps(1000)
    found = []
    for percentile in (50, 95, 99.9999):
        known = Share(reference(target), percentile)
        known.update("receiver", target)
        found.append(known.shares()["receiver"])
    assert found[0] == pytest.approx(0.5, abs=0.06)
    assert found[0] > found[1] > found[2]


def test_one_number_is_kept_of_an_example():
    known = Share(reference(maps(100)))
    known.update("receiver", maps(100))
    assert [part.shape for parts in known._scores.values() for part in parts] == [(100,)]


def test_representations_that_do_not_vary_have_a_score():
    known = reference(torch.ones(20, 3, 2, 2))
    assert known.score(torch.ones(2, 3, 2, 2)).tolist() == [0, 0]
    assert (known.score(torch.zeros(2, 3, 2, 2)) > 0).all()


@pytest.mark.parametrize("percentile", [0, 100, -1, math.nan])
def test_a_percentile_outside_of_its_range_is_refused(percentile):
    with pytest.raises(UserError, match="a percentile lies between 0 and 100, got"):
        Share(reference(maps(10)), percentile)


def test_a_share_is_what_the_definition_gives_in_numpy():
    train, held_out = maps(300).double(), maps(201).double()
    stitched = 1.2 * held_out + 0.5 * maps(201).double()
    known = Share(reference(train, size=100))
    for name, z in (("receiver", held_out), ("it", stitched)):
        for batch in z.split(64):
            known.update(name, batch)

    def statistics(z):
        places = z.flatten(2).numpy()
        return np.concatenate([places.mean(2), places.std(2)], 1)

    s = statistics(train)
    covariance = np.cov(s.T, bias=True)
    floor = 0.01 * np.diag(covariance).mean()
    inverse = np.linalg.inv(covariance + floor * np.eye(len(covariance)))
    scores = {}
    for name, z in (("receiver", held_out), ("it", stitched)):
        away = statistics(z) - s.mean(0)
        scores[name] = ((away @ inverse) * away).sum(1)
    half = parts_of(torch.arange(201), 2, 2).numpy()
    setting = np.sort(scores["receiver"][half == 0])
    threshold = setting[math.ceil(0.95 * (len(setting) + 1)) - 1]
    found = known.shares()
    for name, values in scores.items():
        assert found[name] == pytest.approx((values[half == 1] > threshold).mean()), name
    assert 0.1 < found["it"] < 0.9


def test_a_lower_floor_puts_more_of_what_strays_in_small_directions_outside():
    small = torch.tensor([1.0, 1e-3, 1e-3, 1e-3, 1e-3])
    target = torch.randn(1000, 5) * small
    known, found = ReferenceSums(), []
    known.update(target)
    for floor in (1e-1, 1e-4, 1e-8):
        outside = Share(known.solve(floor))
        outside.update("receiver", target)
        outside.update("it", target + 0.02 * torch.randn(1000, 5))
        found.append(outside.shares()["it"])
    assert found[0] < 0.1 < found[1] < found[2]
    assert outside.reference.floor == 1e-8
    assert outside.reference.examples == 1000


@pytest.mark.parametrize("floor", [0, -1, math.nan])
def test_a_floor_that_is_none_is_refused(floor):
    known = ReferenceSums()
    known.update(maps(10))
    with pytest.raises(UserError, match="a floor is a share of the mean variance, above 0, got"):
        known.solve(floor)
