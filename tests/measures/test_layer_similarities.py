import pytest
import torch

from frankenstein.accumulators.small_sample import WIDE
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities, linear_cka, unbiased_cka

NARROW, MANY = (3, 3, 3), (513, 513, 513)


def batches(units, sizes=(20, 31)):
    """Two representations, a target like them and the inputs of all, in batches."""
    made = []
    for n in sizes:
        inputs = torch.randn(n, 1, 3, 3)
        mixed = inputs.flatten(1) @ torch.randn(9, sum(units)) + torch.randn(n, sum(units))
        places = mixed[:, :, None, None] + 0.5 * torch.randn(n, sum(units), 2, 2)
        before, after, target = places.split(units, 1)
        made.append(({"before": before, "after": after}, {"target": target}, inputs))
    return made


def on_one_grid(measures, shared_up_to):
    return LayerSimilarities(measures, block=None, one_grid=True, shared_up_to=shared_up_to)


@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
@pytest.mark.parametrize("units", [NARROW, MANY])
def test_sums_may_be_shared_or_made_pair_by_pair(units):
    # Of few units are all; of many those that take seconds are left out.
    slow = ("ridge_r_squared", "ridge_correlation", "partial_matching_correlation")
    measures = [name for name in MEASURES if units == NARROW or name not in slow]
    together = on_one_grid(measures, WIDE)
    alone = {name: on_one_grid(measures, 0) for name in ("before", "after")}
    for xs, target, inputs in batches(units):
        labels = (inputs[:, 0, 0, 0] > 0).long()
        together.update(xs, target, inputs, labels)
        for name, x in xs.items():
            alone[name].update({"it": x}, target, inputs, labels)
    for name, one in alone.items():
        assert together.flattenings == one.flattenings
        for measure in measures:
            torch.testing.assert_close(
                together.value(measure, name, "target"),
                one.value(measure, "it", "target"),
                rtol=1e-9,
                atol=1e-10,
                equal_nan=True,
            )
        counts = (
            together.directions("mean_cca", name, "target"),
            one.directions("mean_cca", "it", "target"),
        )
        assert counts[0] == counts[1]
    assert together.directions("linear_cka", "after", "target") is None


@pytest.mark.parametrize("shared_up_to", [0, WIDE])
def test_the_target_is_whitened_once(monkeypatch, shared_up_to):
    sizes, eigh = [], torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda z: sizes.append(len(z)) or eigh(z))
    together = on_one_grid(["mean_cca"], shared_up_to)
    for batch in batches((4, 5, 3)):
        together.update(*batch)
    together.values()
    assert sorted(sizes) == [3, 4, 5]


@pytest.mark.parametrize(("place", "side"), [("after", "first"), ("target", "second")])
def test_nan_is_told_by_the_name_of_the_representation(place, side):
    together = on_one_grid(["linear_cka"], WIDE)
    for xs, target, inputs in batches((4, 5, 3)):
        ({**xs, **target}[place])[0, 0] = float("nan")
        labels = (inputs[:, 0, 0, 0] > 0).long()
        together.update(xs, target, inputs, labels)
    with pytest.raises(UserError, match=f"NaN or Inf in the {side} representation, '{place}'"):
        together.values()


def test_without_measures_nothing_is_kept():
    together = on_one_grid([], WIDE)
    for batch in batches((4, 5, 3)):
        together.update(*batch)
    assert together.values() == {}


def test_gram_matrices_are_of_all_layers_and_only_in_blocks():
    xs, ys = {"a": torch.randn(30, 4)}, {"b": torch.randn(30, 5)}
    blocks = LayerSimilarities(["unbiased_cka", "linear_cka"], block=30).update(xs, ys)
    assert (blocks.kind("unbiased_cka"), blocks.kind("linear_cka")) == ("grams", "moments")
    with pytest.raises(UserError, match="unbiased_cka is made from Gram matrices of all layers"):
        blocks.pair("unbiased_cka", "a", "b")
    whole = LayerSimilarities(["unbiased_cka"], "per_sample", block=None).update(xs, ys)
    assert whole.kind("unbiased_cka") == "moments"
    for kept in (blocks, whole):
        values = kept.values()["unbiased_cka"]
        torch.testing.assert_close(values.squeeze(), unbiased_cka(xs["a"], ys["b"]))


@pytest.mark.parametrize("shared_up_to", [0, float("inf")])
def test_what_is_known_of_a_pair_is_forgotten_when_examples_come(shared_up_to):
    (xs, ys, _), (more_xs, more_ys, _) = batches((4, 5, 3))
    kept = on_one_grid(["linear_cka", "mean_cca"], shared_up_to).update(xs, ys)
    before = kept.value("mean_cca", "after", "target")
    kept.update(more_xs, more_ys)
    assert kept.value("mean_cca", "after", "target") != before
    both = [
        torch.cat(z) for z in ((xs["after"], more_xs["after"]), (ys["target"], more_ys["target"]))
    ]
    expected = linear_cka(*both)
    torch.testing.assert_close(kept.value("linear_cka", "after", "target"), expected)


def test_half_precision_is_not_rounded_further():
    x, y = torch.randn(40, 3, 4, 4).bfloat16(), torch.randn(40, 2, 4, 4).bfloat16()
    options = {"block": None, "shared_up_to": 0}
    half = LayerSimilarities(["linear_cka"], "pooled", **options).update({"x": x}, {"y": y})
    full = LayerSimilarities(["linear_cka"], "pooled", **options)
    full.update({"x": x.float()}, {"y": y.float()})
    assert half.values() == full.values()
