import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import (
    LayerSimilarities,
    UndefinedSimilarityWarning,
    cross_validated_r_squared,
    decoding_agreement,
    deconfounded_cka,
    gulp_distance,
    jaccard_similarity,
    linear_cka,
    mean_cca,
    mean_squared_cca,
    mean_squared_distance,
    mutual_knn,
    partial_matching_correlation,
    procrustes_similarity,
    pwcca,
    r_squared,
    rbf_cka,
    ridge_r_squared,
    rsa_pearson,
    soft_matching,
    svcca,
    unbiased_cka,
    unbiased_rbf_cka,
    unit_correlation,
)
from frankenstein.shapes import ShapeError

OF_UNITS = ("unit_correlation", "mean_squared_distance")
OF_VARIANCE = [m for m in MEASURES if m != "mean_squared_distance"]


@pytest.fixture
def check_undefined(value):
    def check(name, x, y, reason, **options):
        with pytest.warns(UndefinedSimilarityWarning, match=f"{name} is undefined: .*{reason}"):
            assert value(name, x, y, **options).isnan()

    return check


@pytest.mark.parametrize("name", OF_VARIANCE)
@pytest.mark.parametrize("constant", [0.0, 0.1, -12345.678, 1e-8])
def test_a_representation_that_does_not_vary_is_like_nothing(name, constant, check_undefined):
    x = torch.randn(40, 3)
    constant = torch.full((40, 3), constant)
    check_undefined(name, constant, x, "the first representation is the same for every example")
    check_undefined(name, x, constant, "the second representation is the same for every example")
    check_undefined(name, constant, constant, "the first representation is the same")


@pytest.mark.parametrize("name", OF_VARIANCE)
def test_one_example_does_not_vary(name, check_undefined):
    check_undefined(name, torch.randn(1, 3), torch.randn(1, 3), "is the same for every example")


@pytest.mark.parametrize("name", OF_VARIANCE)
def test_two_examples_would_always_look_alike(name, check_undefined):
    check_undefined(name, torch.randn(2, 3), torch.randn(2, 3), "2 examples always look alike")


def test_the_distance_of_constants_is_defined():
    distance = mean_squared_distance(torch.full((5, 3), 1.0), torch.full((5, 3), 3.0))
    assert distance == 12


@pytest.mark.parametrize("measure", [unbiased_cka, unbiased_rbf_cka])
def test_unbiased_cka_needs_four_examples(measure, check_undefined):
    x = torch.randn(3, 2)
    check_undefined(measure.__name__, x, x, "it needs at least 4 examples, got 3")
    assert linear_cka(x, x).isfinite()
    assert rbf_cka(x, x).isfinite()
    assert measure(torch.randn(4, 2), torch.randn(4, 2)).isfinite()


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("n", [5, 50])
def test_unbiased_cka_knows_no_direction_where_all_pairs_of_examples_are_alike(
    n, offset, check_undefined
):
    y = torch.randn(n, 3)
    fires_once = torch.zeros(n, 2)
    fires_once[0] = torch.tensor([1.0, 0.3])
    for x in (torch.eye(n), 1.7 * torch.eye(n), fires_once):
        check_undefined("unbiased_cka", x + offset, y, "HSIC of one with itself is 0")
        check_undefined("unbiased_cka", y, x + offset, "HSIC of one with itself is 0")


def test_unbiased_rbf_cka_knows_none_there_either(check_undefined):
    y = torch.randn(20, 3)
    reason = "all pairs of examples are equally alike in the {} representation"
    check_undefined("unbiased_rbf_cka", torch.eye(20), y, reason.format("first"))
    check_undefined("unbiased_rbf_cka", y, torch.eye(20) + 3, reason.format("second"))


@pytest.mark.parametrize("measure", [rbf_cka, unbiased_rbf_cka])
def test_a_median_distance_of_0_is_no_bandwidth(measure, check_undefined):
    x, y = torch.randn(20, 3), torch.randn(20, 3)
    x[4:] = 0
    reason = "half of all pairs of examples are the same in the first representation"
    check_undefined(measure.__name__, x, y, reason)


CCAS = [mean_cca, mean_squared_cca, svcca, pwcca]


@pytest.mark.parametrize("measure", CCAS)
def test_cca_needs_more_examples_than_directions_of_both(measure, check_undefined):
    check_undefined(
        measure.__name__,
        torch.randn(9, 5),
        torch.randn(9, 4),
        "9 examples are too few for 5 and 4 directions",
    )
    assert measure(torch.randn(10, 5), torch.randn(10, 4)) < 1
    check_undefined(measure.__name__, torch.randn(9, 50), torch.randn(9, 50), "9 examples are too")


@pytest.mark.parametrize(
    ("measure", "option"), [(procrustes_similarity, "alpha"), (decoding_agreement, "ridge")]
)
def test_what_becomes_cca_needs_them_there_too(measure, option, check_undefined):
    x, y = torch.randn(9, 5), torch.randn(9, 4)
    reason = "9 examples are too few for 5 and 4 directions"
    check_undefined(measure.__name__, x, y, reason, **{option: 0.0})
    assert 0 < measure(x, y) < 1


@pytest.mark.parametrize("name", ["r_squared", "reverse_r_squared"])
def test_as_many_directions_as_examples_explain_anything(name, check_undefined):
    x, y = torch.randn(9, 8), torch.randn(9, 8)
    check_undefined(name, x, y, "9 examples are too few for 8 directions: they would explain any")
    assert r_squared(torch.randn(10, 8), torch.randn(10, 8)) < 1


def test_cross_validation_needs_an_example_in_every_part(check_undefined):
    x = torch.randn(4, 2)
    check_undefined("cross_validated_r_squared", x, x, "4 examples do not fill 5 parts")
    assert cross_validated_r_squared(x, x, count=4).isfinite()


def test_cross_validation_of_what_cannot_be_predicted_is_0_or_less():
    x, y = torch.randn(60, 40), torch.randn(60, 5)
    assert r_squared(x, y) > 0.5
    assert cross_validated_r_squared(x, y) < 0


def test_cca_counts_directions_and_not_units():
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    assert abs(mean_cca(torch.cat([x, x, 0 * x], 1), y) - mean_cca(x, y)) < 1e-9


@pytest.mark.parametrize("name", ["mean_cca", "mean_squared_cca", "svcca", "pwcca", "r_squared"])
def test_few_answers_to_many_examples_are_no_few_examples(name, value):
    # As of ten examples that come again and again, of which this is as high: rows do not tell.
    answers = torch.eye(10, dtype=torch.float64)[torch.randint(10, (1000,))]
    assert abs(value(name, answers, answers @ torch.randn(10, 10).double()) - 1) < 1e-9
    others = torch.eye(10, dtype=torch.float64)[torch.randint(10, (1000,))]
    assert value(name, answers, others) < 0.2


def test_a_dead_unit_is_left_out_of_correlations(value):
    x, y = torch.randn(50, 3), torch.randn(50, 3)
    more = [torch.cat([z, d], 1) for z, d in ((x, torch.zeros(50, 1)), (y, torch.randn(50, 1)))]
    torch.testing.assert_close(unit_correlation(*more), unit_correlation(x, y))
    dead = [torch.cat([z, torch.full((50, 2), 0.1)], 1) for z in (x, y)]
    for name in ("matched_correlation", "best_match_correlation"):
        torch.testing.assert_close(value(name, *dead), value(name, x, y))


def test_units_that_are_dead_on_one_side_each_have_no_correlation(check_undefined):
    x, y = torch.randn(50, 2), torch.randn(50, 2)
    x[:, 0], y[:, 1] = 0, 0
    check_undefined("unit_correlation", x, y, "every unit is dead on one side at least")


@pytest.mark.parametrize("name", ["rsa_pearson", "rsa_spearman", "rsa_kendall"])
def test_examples_without_a_pattern_are_left_out_of_rsa(name, value, check_undefined):
    x, y = torch.randn(20, 3), torch.randn(20, 3)
    more = [torch.cat([torch.full((1, 3), 0.1), x]), torch.cat([torch.randn(1, 3), y])]
    torch.testing.assert_close(value(name, *more), value(name, x, y))
    check_undefined(name, torch.randn(20, 1), y, "0 examples have a pattern over units; it takes 3")
    reason = "all pairs of examples are equally unlike in the second representation"
    check_undefined(name, x, x[:, :1].abs() * torch.tensor([1.0, 2.0, 4.0]), reason)


def test_neighbours_need_others_that_are_none(check_undefined):
    x = torch.randn(11, 3)
    check_undefined("mutual_knn", x, x, "all other examples of 11 are among the 10 nearest")
    assert mutual_knn(torch.randn(12, 3), torch.randn(12, 3)) < 1
    # With one unit, that is never below 0, all examples lie in one direction.
    reason = "all pairs of examples are equally near in the first representation"
    check_undefined("mutual_knn", torch.rand(30, 1) + 0.1, torch.randn(30, 3), reason)


def test_where_several_are_equally_near_each_is_in_by_a_part():
    x = torch.eye(4).repeat(5, 1) + torch.tensor([0.0, 0, 0, 1])
    one = torch.randperm(len(x))
    assert abs(mutual_knn(x, x) - 1) < 1e-12
    assert abs(mutual_knn(x[one], x[one]) - 1) < 1e-12
    y = torch.randn(20, 3)
    assert abs(mutual_knn(x[one], y[one]) - mutual_knn(x, y)) < 1e-12


def test_nothing_is_left_of_what_the_input_explains(check_undefined, inputs_of):
    x, inputs = torch.randn(20, 3), inputs_of(20).flatten(1)
    reason = "the input explains the {} representation altogether"
    check_undefined("deconfounded_cka", 2 * inputs + 1, x, reason.format("first"))
    check_undefined("deconfounded_cka", x, -inputs, reason.format("second"))
    with pytest.warns(UndefinedSimilarityWarning, match="the input is the same for every example"):
        assert deconfounded_cka(x, x, torch.ones(20, 4)).isnan()


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_inf_are_refused_by_name(name, bad, value):
    x, y = torch.randn(20, 3), torch.randn(20, 3)
    worse = x.clone()
    worse[4, 1] = bad
    with pytest.raises(UserError, match="NaN or Inf in the first representation"):
        value(name, worse, y)
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        value(name, x, worse)
    with pytest.raises(UserError, match="NaN or Inf in the second representation"):
        value(name, torch.zeros(20, 3), worse)


def test_nan_in_the_inputs_is_refused_by_name(inputs_of):
    inputs = inputs_of(20)
    inputs[3] = torch.nan
    with pytest.raises(UserError, match="NaN or Inf in the inputs"):
        deconfounded_cka(torch.randn(20, 3), torch.randn(20, 3), inputs)
    with pytest.raises(UserError, match="the inputs were not kept"):
        deconfounded_cka(torch.randn(20, 3), torch.randn(20, 3))


@pytest.mark.parametrize("name", MEASURES)
def test_no_examples_are_refused(name, value):
    with pytest.raises(UserError, match="no examples were given; is the data set empty"):
        value(name, torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(UserError, match="no examples were given"):
        LayerSimilarities([name]).values()


@pytest.mark.parametrize("name", MEASURES)
def test_different_examples_are_refused(name, value):
    with pytest.raises(ShapeError, match="got 5 and 6 rows; use one loader for both"):
        value(name, torch.zeros(5, 3), torch.zeros(6, 3))


@pytest.mark.parametrize("name", MEASURES)
def test_one_representation_alone_is_refused(name):
    with pytest.raises(UserError, match="or two representations; got one representation"):
        MEASURES[name](torch.zeros(5, 3))


@pytest.mark.parametrize("name", [name for name, row in MEASURES.items() if row.needs != "moments"])
def test_sums_are_refused_where_a_measure_does_not_follow_from_them(name):
    with pytest.raises(UserError, match=r"this measure needs .*, or two representations"):
        MEASURES[name](Moments().update(torch.randn(5, 3), torch.randn(5, 3)))


@pytest.mark.parametrize("name", MEASURES)
def test_only_measures_in_the_units_themselves_need_as_many_of_them(name, value):
    x, y = torch.randn(50, 3), torch.randn(50, 4)
    if name not in OF_UNITS:
        assert value(name, x, y).isfinite()
    else:
        with pytest.raises(ShapeError, match="x has 3 units and y has 4; use a measure that is"):
            value(name, x, y)


@pytest.mark.parametrize(
    ("measure", "option", "text"),
    [
        (mean_cca, {"ridge": -1.0}, "a ridge is a share of the variance, 0 or more, got -1"),
        (decoding_agreement, {"ridge": -0.1}, "a ridge is a share of the variance, .*got -0.1"),
        (svcca, {"share": 0.0}, r"the share of variance kept lies in \(0, 1\], got 0"),
        (procrustes_similarity, {"alpha": 1.5}, "alpha lies between 0, as in CCA, and 1, Pro"),
        (rbf_cka, {"bandwidth": 0.0}, "the bandwidth is a share of the median distance, got 0"),
        (mutual_knn, {"k": 0}, "k is how many neighbours count, 1 or more, got 0"),
        (
            rsa_pearson,
            {"dissimilarity": "cos"},
            "euclidean or squared_euclidean, got 'cos'",
        ),
        (gulp_distance, {"ridge": -0.1}, "a ridge is a share of the variance, .*got -0.1"),
        (ridge_r_squared, {"count": 2}, "chosen within three parts or more, got 2"),
        (jaccard_similarity, {"k": 0}, "k is how many neighbours count, 1 or more, got 0"),
        (soft_matching, {"share": 0.0}, r"units that are matched lies in \(0, 1\], got 0"),
        (partial_matching_correlation, {"share": 1.5}, r"lies in \(0, 1\], got 1.5"),
        (cross_validated_r_squared, {"count": 1}, "takes two parts or more, got 1"),
    ],
)
def test_parameters_out_of_range_are_refused(measure, option, text):
    with pytest.raises(UserError, match=text):
        measure(torch.randn(20, 3), torch.randn(20, 3), **option)
