import pytest
import torch

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.layer_rows import LayerRows
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import WIDE
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities, linear_cka
from frankenstein.shapes import ShapeError, per_location, per_sample

OF_SUMS = [name for name, row in MEASURES.items() if row.needs == "moments"]


def wide(n=40, units=600):
    """Two networks: layers of more units than examples, and one of a few."""
    generator = torch.Generator().manual_seed(0)
    causes = torch.randn(n, 6, generator=generator, dtype=torch.float64)

    def layer(units):
        mix = torch.randn(6, units, generator=generator, dtype=torch.float64)
        noise = torch.randn(n, units, generator=generator, dtype=torch.float64)
        return (causes @ mix + 0.1 * noise + 3).float()

    return {"a": layer(units), "b": layer(5)}, {"c": layer(units), "d": layer(7)}


def by_sums(x, y):
    return Moments().update(x.double(), y.double())


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("name", OF_SUMS)
def test_few_wide_examples_give_what_float64_sums_over_units_give(name):
    xs, ys = wide()
    kept = LayerSimilarities([name], "per_sample", block=None)
    for rows in (slice(11), slice(11, None)):
        kept.update(*({s: z[rows] for s, z in side.items()} for side in (xs, ys)))
    for row, column in [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")]:
        try:
            expected = float(MEASURES[name](by_sums(xs[row], ys[column])))
        except ShapeError:  # of as many units on both sides
            continue
        assert float(kept.value(name, row, column)) == pytest.approx(
            expected, abs=1e-9, nan_ok=True
        ), (row, column)


@pytest.mark.parametrize("name", ["linear_cka", "reverse_r_squared", "procrustes_similarity"])
def test_units_that_no_sums_could_be_over_are_no_matter(name):
    xs, ys = wide(60, 51_200)  # 60 GB of sums
    kept = LayerSimilarities([name], "per_sample", block=None).update(xs, ys)
    # A rotation into the span of the rows changes none of them.
    x, y = (torch.linalg.qr((z - z.mean(0)).T).R.T for z in (xs["a"].double(), ys["d"].double()))
    expected = float(MEASURES[name](Moments().update(x, y)))
    assert float(kept.value(name, "a", "d")) == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_rows_become_sums_when_they_are_no_longer_few():
    xs, ys = wide(n=2 * WIDE)
    kept, sums = LayerRows(per_sample), LayerMoments(per_sample)
    for start in range(0, 2 * WIDE, 256):
        batch = [{s: z[start : start + 256] for s, z in side.items()} for side in (xs, ys)]
        kept.update(*batch)
        sums.update(*batch)
        assert bool(kept.pair("a", "c").rows) == (start + 256 <= 600)
        assert not kept.pair("b", "d").rows
        for pair in [("a", "c"), ("b", "d")]:
            torch.testing.assert_close(
                linear_cka(kept.pair(*pair)), linear_cka(sums.pair(*pair)), rtol=0, atol=1e-11
            )


def test_what_follows_from_a_layer_is_made_once_for_all_its_pairs():
    xs, ys = wide()
    kept = LayerSimilarities(["linear_cka"], "per_sample", block=None).update(xs, ys)
    kept.values()
    pairs = [kept.pair("linear_cka", "a", column) for column in ("c", "d")]
    assert pairs[0].cache["x"] is pairs[1].cache["x"]
    assert len([key for key in pairs[0].cache["x"] if "gram" in str(key)]) == 1
    kept.update(xs, ys)
    assert not kept.pair("linear_cka", "a", "c").cache["x"]


@pytest.mark.parametrize(("side", "name"), [(0, "first"), (1, "second")])
def test_nan_is_refused_with_the_layer_that_holds_it(side, name):
    both = wide()
    layer = "ac"[side]
    both[side][layer][3, 1] = torch.nan
    kept = LayerRows(per_sample).update(*both)
    with pytest.raises(UserError, match=f"NaN or Inf in the {name} representation, '{layer}'"):
        kept.pair("a", "c")


def test_other_layers_units_and_examples_are_refused():
    xs, ys = wide()
    kept = LayerRows(per_sample).update(xs, ys)
    with pytest.raises(ShapeError, match="600 units of 'a', got 599"):
        kept.update(xs | {"a": xs["a"][:, 1:]}, ys)
    with pytest.raises(UserError, match="the same layers in the same order"):
        LayerRows(per_sample).update(xs, ys).update({"a": xs["a"]}, ys)
    with pytest.raises(ShapeError, match="got 40 and 39 rows"):
        LayerRows(per_sample).update(xs, {s: z[1:] for s, z in ys.items()})
    assert not LayerRows(per_location).update(xs, ys).pair("b", "d").rows


def test_rows_beyond_memory_are_refused_as_sums_are():
    kept = LayerRows(per_sample)
    z = torch.zeros(1, 1).expand(9_000, 33_000)  # which takes no memory
    with pytest.raises(UserError, match="sums over so many units take"):
        kept.update({"a": z}, {"c": z})
