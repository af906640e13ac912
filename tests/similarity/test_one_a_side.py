import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.shapes import FLATTENINGS, ShapeError, per_location, pooled
from frankenstein.similarity.matrices import labelled, measure_layers
from frankenstein.surgery.layouts import units_in_place


@pytest.fixture
def batches():
    return [(torch.randn(n, 3, 4, 4), torch.zeros(n)) for n in (8, 8, 3)]


def same(images):
    return 2 * images[:, [1, 2, 0]]


def vector(images):
    return images.flatten(1)[:, :5]


def whole(batches):
    return torch.cat([images for images, _ in batches])


def moments_of(one, other, batches, flattening=None):
    def ours(images):
        return {"one": units_in_place(one(images))}

    def theirs(images):
        return {"other": units_in_place(other(images))}

    kept = measure_layers(ours, theirs, batches, ["linear_cka"], flattening, one_a_side=True)
    (matrix,) = labelled(kept).values()
    assert (matrix.rows, matrix.columns, matrix.examples) == (("one",), ("other",), 19)
    return kept.pair("linear_cka", "one", "other"), kept.flattenings["linear_cka"]


def test_maps_on_one_grid_count_their_places(batches):
    moments, flattening = moments_of(lambda z: z, same, batches)
    assert (flattening, moments.n) == ("per_location", 19 * 16)
    expected = Moments(per_location).update(whole(batches), same(whole(batches)))
    for measure in [row for row in MEASURES.values() if row.needs == "moments"]:
        torch.testing.assert_close(measure(moments), measure(expected))


def test_representations_on_other_grids_are_pooled(batches):
    for one in (vector, lambda z: z[:, :, :2]):
        moments, flattening = moments_of(one, same, batches)
        assert (flattening, moments.n) == ("pooled", 19)
        expected = pooled(same(whole(batches))).double().mean(0)
        torch.testing.assert_close(moments.mean("y"), expected)


@pytest.mark.parametrize("flattening", [name for name in FLATTENINGS if name != "last"])
def test_the_flattening_may_be_chosen(batches, flattening):
    moments, name = moments_of(lambda z: z, same, batches, flattening)
    rows = FLATTENINGS[flattening](whole(batches))
    assert (name, moments.n, len(moments.mean("x"))) == (flattening, *rows.shape)


def test_maps_whose_channels_come_last_are_turned(batches):
    def last(images):
        return same(images).movedim(1, -1)

    moments, flattening = moments_of(last, same, batches)
    assert flattening == "per_location"
    assert MEASURES["mean_squared_distance"](moments) == 0


def test_a_flattening_that_does_not_fit_is_refused(batches):
    with pytest.raises(
        ShapeError, match=r"an example has .* places in one and .* pooled, compares them"
    ):
        moments_of(vector, same, batches, "per_location")
