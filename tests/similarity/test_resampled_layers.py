import pytest
import torch

from frankenstein.accumulators.layer_reservoir import LayerReservoir
from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import (
    LayerSimilarities,
    deconfounded_cka,
    linear_cka,
    mean_squared_distance,
    mutual_knn,
    rbf_cka,
    unbiased_cka,
)
from frankenstein.measures.draws import halves, of_examples, shuffles
from frankenstein.shapes import per_location, per_sample, pooled
from frankenstein.similarity.matrices import bytes_of_one
from frankenstein.similarity.resampling import certainties, certainty
from frankenstein.surgery.read import reading


@pytest.fixture
def layers():
    """Two layers of each side, of 40 examples."""
    x = {"a": torch.randn(40, 3, 4, 4), "b": torch.randn(40, 6)}
    y = {"a": x["a"] + torch.randn(40, 3, 4, 4), "c": torch.randn(40, 5, 2, 2)}
    return x, y


def kept_of(layers, size=16, **options):
    kept = LayerReservoir(**options)
    for start in range(0, 40, size):
        kept.update(*({s: z[start : start + size] for s, z in side.items()} for side in layers))
    return kept


def test_examples_are_kept_whole_and_as_they_came(layers):
    kept = kept_of(layers)
    assert len(kept) == 40
    for side, known in zip((kept.x, kept.y), layers, strict=True):
        assert list(side) == list(known)
        for name, z in known.items():
            assert torch.equal(side[name], z)


def test_a_bounded_number_is_kept_the_same_of_both_sides(layers):
    x, _ = layers
    kept = kept_of((x, {"same": x["a"] + 1}), limit=7)
    assert len(kept) == 7
    assert torch.equal(kept.x["a"] + 1, kept.y["same"])


def test_the_bytes_of_one_example_are_known_before(small_network):
    # conv1 makes 4 maps of 6x6, fc 10 numbers.
    with reading(small_network(0), ["conv1", "fc"]) as read:
        assert bytes_of_one(read(torch.zeros(2, 1, 8, 8))) == 4 * (4 * 36 + 10)


@pytest.mark.parametrize("measure", [unbiased_cka, linear_cka])
@pytest.mark.parametrize("flatten", [per_sample, pooled, per_location])
def test_a_cell_is_the_certainty_of_its_two_layers(layers, measure, flatten):
    if flatten is per_location:
        layers = ({"a": layers[0]["a"]}, {"a": layers[1]["a"]})
    name = measure.__name__
    found = certainties(kept_of(layers), {name: flatten.__name__}, 39, 19)[name]

    def alone(x, y):
        return measure(Moments(flatten).update(x, y))

    expected = certainty(of_examples(alone, layers[0]["a"], layers[1]["a"]), 40, 39, 19)
    for part in ("value", "low", "high", "null_mean", "p_value"):
        one, other = getattr(found, part)[0, 0].item(), getattr(expected, part).item()
        assert one == pytest.approx(other, abs=2e-5), part


def test_a_distance_is_the_smaller_the_closer(layers):
    both = {"a": layers[0]["a"]}, {"a": layers[1]["a"]}
    name = "mean_squared_distance"
    found = certainties(kept_of(both), {name: "per_sample"}, permutations=19)[name]
    assert found.p_value.item() == 1 / 20
    value = mean_squared_distance(Moments(per_sample).update(*(side["a"] for side in both)))
    assert found.value.item() == pytest.approx(value.item())


def test_every_draw_is_told_of(layers):
    told = []
    flattenings = {"unbiased_cka": "per_sample", "mean_squared_cca": "pooled"}
    certainties(kept_of(layers), flattenings, 39, 19, after=lambda: told.append(1))
    assert len(told) == 2 * (1 + 39 + 19)


def test_measures_within_classes_have_no_interval_and_say_so(layers):
    with pytest.raises(UserError, match="within_class_linear_cka has no intervals and no null"):
        certainties(kept_of(layers), ["linear_cka", "within_class_linear_cka"], 39)


@pytest.mark.parametrize("name", [name for name in MEASURES if MEASURES[name].needs != "classes"])
def test_every_measure_has_an_interval_and_a_null(name):
    x = torch.randn(60, 1, 1, 1) + torch.randn(60, 2, 2, 2)
    y = x + 0.5 * torch.randn(60, 2, 2, 2)
    kept = LayerReservoir(inputs=True).update({"x": x}, {"y": y}, torch.randn(60, 1, 2, 2))
    for flattening, draws in zip(MEASURES[name].flattenings, (39, 0), strict=False):
        found = certainties(kept, {name: flattening}, draws, 19)[name]
        assert not draws or found.low <= found.high
        assert found.p_value.item() == 1 / 20
        whole = LayerSimilarities([name], flattening, block=60)
        whole.update({"x": x}, {"y": y}, kept.inputs)
        assert found.value.item() == pytest.approx(whole.values()[name].item(), abs=1e-6)


def test_kernels_of_all_kept_examples_are_near_those_of_a_draw():
    x = torch.randn(80, 6)
    y = x @ torch.randn(6, 4) + torch.randn(80, 4)
    inputs = x[:, :2] + torch.randn(80, 2)
    kept = LayerReservoir(inputs=True).update({"x": x}, {"y": y}, inputs)
    for name, measure in (("rbf_cka", rbf_cka), ("deconfounded_cka", deconfounded_cka)):

        def value(i, j, measure=measure, more=name == "deconfounded_cka"):
            return measure(x[i], y[j], inputs[i]) if more else measure(x[i], y[j])

        anew = certainty(value, 80, 199)
        once = certainties(kept, {name: "per_sample"}, 199)[name]
        assert once.value.item() == pytest.approx(anew.value.item(), abs=1e-6)
        for one, other in ((once.low, anew.low), (once.high, anew.high)):
            assert one.item() == pytest.approx(other.item(), abs=0.2 * float(anew.high - anew.low))


def test_more_units_than_examples_are_turned_without_changing_anything():
    x, y = torch.randn(30, 200), torch.randn(30, 100)
    kept = LayerReservoir().update({"x": x}, {"y": y})
    found = certainties(kept, {"mutual_knn": "per_sample"}, 39, 19)["mutual_knn"]
    expected = certainty(of_examples(mutual_knn, x, y), 30, 39, 19)
    for part in ("value", "low", "high", "null_mean", "p_value"):
        assert getattr(found, part).item() == pytest.approx(getattr(expected, part).item())


def test_measures_by_name_flatten_as_those_of_all_layers_do(layers):
    found = certainties(kept_of(layers), ["unbiased_cka", "mean_squared_cca"], permutations=19)
    named = {"unbiased_cka": "per_sample", "mean_squared_cca": "pooled"}
    for name, one in certainties(kept_of(layers), named, permutations=19).items():
        assert torch.equal(found[name].null_mean, one.null_mean)


@pytest.mark.parametrize(
    ("measures", "said"),
    [
        (["cka"], "unknown measure 'cka'"),
        (
            {"mutual_knn": "per_location"},
            "takes per_sample or pooled or last, got 'per_loc",
        ),
        ({"linear_cka": "flat"}, "per_location or per_sample or pooled or last, got 'flat'"),
        (
            ["deconfounded_cka"],
            r"needs the inputs: LayerReservoir\(inputs=True\)\.update\(xs, ys, inputs\)",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_draw(layers, measures, said):
    with pytest.raises(UserError, match=said):
        certainties(kept_of(layers), measures, 39)


def test_layers_are_given_by_name():
    x = torch.randn(9, 3)
    with pytest.raises(UserError, match=r"each side is \{layer: representation\}, got Tensor"):
        LayerReservoir().update(x, x)
    assert len(LayerReservoir().update({"a": x.numpy()}, {"b": x.tolist()})) == 9


def odd_layers():
    """Layers with duplicates, directions in common, examples without a pattern, and a dead one."""
    generator = torch.Generator().manual_seed(0)
    plain, wide, few = (torch.randn(40, d, generator=generator).double() for d in (6, 70, 2))
    holes = wide[:, :5].clone()
    holes[3:6] = 0.25
    return {
        "plain": plain,
        "wide": wide,
        "ties": torch.eye(4).double().repeat(10, 1) + 0.5,
        "signs": few.sign(),
        "holes": holes,
        "one": few[:, :1],
        "dead": torch.ones(40, 3).double(),
    }


BY_PAIRS = [name for name, row in MEASURES.items() if row.question == "neighbours"]
BY_PAIRS += ["rsa_pearson", "rsa_spearman", "rsm_norm_distance"]


@pytest.mark.parametrize("name", BY_PAIRS)
@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
def test_all_pairs_of_a_draw_are_the_measure_of_the_examples_drawn(name):
    xs = odd_layers()
    ys = {s: z.flip(0) + 0.1 * xs["plain"].sum(1, keepdim=True) for s, z in xs.items()} | xs
    value_of = MEASURES[name].resampled(xs.values(), ys.values())
    everyone = torch.arange(40)
    for i, j in [(everyone, everyone), *halves(40, 2), *shuffles(40, 2)]:
        expected = [[MEASURES[name](x[i], y[j]) for y in ys.values()] for x in xs.values()]
        found = value_of(i, j)
        torch.testing.assert_close(
            found, torch.tensor(expected).double(), rtol=0, atol=1e-7, equal_nan=True
        )
    few = torch.arange(9)
    assert value_of(few, few)[0, 0].isnan().item() == (MEASURES[name].question == "neighbours")


def test_how_long_it_will_take_is_told_before_the_first_draw(layers):
    told = []
    flattenings = {"unbiased_cka": "per_sample", "mean_squared_cca": "pooled"}
    certainties(
        kept_of(layers), flattenings, 39, 19, before=told.append, after=lambda: told.append(1)
    )
    assert list(told[0]) == list(flattenings)
    assert all(seconds > 0 for seconds in told[0].values())
    assert len(told) == 1 + 2 * (1 + 39 + 19)
