import pytest
import torch

from frankenstein.accumulators.layer_moments import LayerMoments
from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import mean_cca, unbiased_cka
from frankenstein.shapes import FLATTENINGS, ShapeError


def layers(n, offset=0.0):
    """Two networks: maps on two grids, tokens and vectors."""
    causes = torch.randn(n, 6, dtype=torch.float64)

    def layer(*shape):
        size = torch.Size(shape).numel()
        seen = causes @ torch.randn(6, size).double() + torch.randn(n, size)
        return (offset + seen).view(n, *shape)

    torch.manual_seed(1)
    return (
        {"map": layer(3, 4, 4), "small": layer(2, 2, 2), "vector": layer(5)},
        {"other": layer(2, 4, 4), "tokens": layer(16, 3), "vector": layer(4)},
    )


def sums(moments):
    groups = moments.first, moments.second, moments.third, moments.fourth
    return [group[key] for group in groups for key in sorted(group)]


@pytest.mark.parametrize("flattening", [name for name in FLATTENINGS if name != "last"])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_pairs_moments_are_those_that_moments_makes(flattening, offset):
    flatten = FLATTENINGS[flattening]
    batches = [layers(n, offset) for n in (20, 0, 7, 300)]
    crossed = LayerMoments(flatten)
    for xs, ys in batches:
        crossed.update(xs, ys)
    for x, y in [("map", "other"), ("vector", "vector"), ("map", "tokens")]:
        expected = Moments(flatten)
        for xs, ys in batches:
            expected.update(xs[x], ys[y])
        found = crossed.pair(x, y)
        assert found.n == expected.n
        for one, other in zip(sums(found), sums(expected), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-8)
        for measure in (unbiased_cka, mean_cca):
            torch.testing.assert_close(measure(found), measure(expected), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("offsets", [(0.0, 3.0), (1e4, 1e4)])
def test_sums_made_apart_add_up_to_those_made_together(offsets):
    batches = [layers(n, offset) for n, offset in zip((9, 25), offsets, strict=True)]
    together = LayerMoments()
    apart = LayerMoments()
    for xs, ys in batches:
        together.update(xs, ys)
        apart.merge(LayerMoments().update(xs, ys))
    assert apart.n == together.n
    for x in batches[0][0]:
        for y in batches[0][1]:
            one, other = unbiased_cka(apart.pair(x, y)), unbiased_cka(together.pair(x, y))
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


def test_pairs_on_different_grids_have_no_moments_per_location():
    crossed = LayerMoments(FLATTENINGS["per_location"]).update(*layers(8))
    with pytest.raises(ShapeError, match="'small' has 4 rows an example and 'other' has 16"):
        crossed.pair("small", "other")


@pytest.mark.parametrize(("side", "name"), [(0, "first"), (1, "second")])
def test_nan_and_inf_are_refused_with_the_layer_that_holds_them(side, name):
    both = layers(8)
    both[side]["vector"][3, 1] = torch.inf
    crossed = LayerMoments().update(*both)
    with pytest.raises(UserError, match=f"NaN or Inf in the {name} representation, 'vector'"):
        crossed.pair("vector", "vector")
    crossed.pair(*[("map", "vector"), ("vector", "other")][side])


def test_other_layers_units_or_examples_are_refused():
    xs, ys = layers(8)
    with pytest.raises(ShapeError, match=r"must hold the same examples, got \[7, 8\] rows"):
        LayerMoments().update(xs, {s: y[1:] for s, y in ys.items()})
    crossed = LayerMoments().update(xs, ys)
    with pytest.raises(ShapeError, match="sums over 5 units of 'vector', got 4"):
        crossed.update({**xs, "vector": xs["vector"][:, 1:]}, ys)
    with pytest.raises(UserError, match="the same layers in the same order"):
        crossed.update({"map": xs["map"]}, ys)
    with pytest.raises(UserError, match="no examples were given"):
        LayerMoments().pair("map", "other")


def test_sums_that_no_machine_holds_are_refused_before_they_are_made():
    small, large = {"small": torch.zeros(2, 3, 4, 4)}, {"tokens": torch.zeros(2, 24, 1024)}
    with pytest.raises(UserError, match=r"\('tokens' has 24,576\); take pooled for the flattening"):
        LayerMoments(FLATTENINGS["per_sample"]).update(small, large)


def test_sums_of_parts_together_are_those_of_merging_them_and_of_all_rows():
    torch.manual_seed(0)
    x, y = torch.randn(60, 5).double() + 100, torch.randn(60, 3).double()
    cuts = slice(0, 7), slice(7, 30), slice(30, 60)
    parts = [
        LayerMoments().update({"a": x[c] * 2, "b": x[c] + i}, {"c": y[c] - i})
        for i, c in enumerate(cuts)
    ]
    rows = {"a": x * 2, "b": torch.cat([x[c] + i for i, c in enumerate(cuts)])}
    whole = LayerMoments().update(rows, {"c": torch.cat([y[c] - i for i, c in enumerate(cuts)])})
    together = LayerMoments.of_parts(parts)
    merged = LayerMoments().merge(parts[0]).merge(parts[1]).merge(parts[2])
    assert together.n == 60
    for name in ("a", "b"):
        for key in ("xx", "xy", "yy"):
            found, one_by_one = (m.pair(name, "c") for m in (together, merged))
            torch.testing.assert_close(
                found.second[key], one_by_one.second[key], rtol=1e-12, atol=1e-8
            )
            torch.testing.assert_close(
                found.third[key], one_by_one.third[key], rtol=1e-11, atol=1e-7
            )
        expected = unbiased_cka(whole.pair(name, "c"))
        torch.testing.assert_close(unbiased_cka(found), expected, rtol=1e-11, atol=1e-13)
