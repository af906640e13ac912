import math

import pytest
import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.catalog import MEASURES
from frankenstein.measures import (
    angular_shape_distance,
    cross_validated_r_squared,
    decoding_agreement,
    deconfounded_cka,
    feature_corrected_cka,
    gulp_distance,
    linear_cka,
    matched_correlation,
    mean_cca,
    mean_squared_cca,
    mutual_knn,
    partial_matching_correlation,
    procrustes_similarity,
    r_squared,
    rbf_cka,
    reverse_r_squared,
    ridge_correlation,
    ridge_r_squared,
    rsa_pearson,
    rsa_spearman,
    shared_dimensions,
    size_and_shape_distance,
    soft_matching,
    soft_matching_correlation,
    soft_matching_distance,
    svcca,
    unbiased_cka,
    unbiased_rbf_cka,
)
from frankenstein.measures.matching import _by_copies, _by_program
from frankenstein.shapes import FLATTENINGS

UNITS = 5


def matrix(seed):
    return torch.randn(
        UNITS, UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


MOVES = {
    "rotate": lambda z: z @ torch.linalg.qr(matrix(1)).Q,
    "scale": lambda z: 3 * z,
    "shift": lambda z: z + 5 * matrix(2)[0],
    "permute": lambda z: z.roll(1, dims=1),
    "mix": lambda z: z @ (matrix(3) + 3 * torch.eye(UNITS)),
}
# What may be done to the second representation, where that is not what may be done to the first.
SECOND = {
    "pwcca": {*MOVES},
    "reverse_r_squared": {*MOVES},
    "within_class_r_squared": {*MOVES} - {"mix"},
    "r_squared": {*MOVES} - {"mix"},
    "cross_validated_r_squared": {*MOVES} - {"mix"},
    "ridge_correlation": {"scale", "shift", "permute"},
}
SCALE_FREE = [name for name, row in MEASURES.items() if "scale" in row.invariant_to]
# Measures that a distance of theirs is a metric of.
METRICS = [name for name, row in MEASURES.items() if "a metric" in row.about]


@pytest.fixture
def pair(request):
    """Two representations that are alike, not equal, with units of unlike size."""
    x = torch.randn(200, UNITS, dtype=torch.float64) * torch.tensor([1, 2, 3, 0.2, 1])
    y = x.tanh() + x @ matrix(0) / 4 + torch.randn(200, UNITS, dtype=torch.float64) / 2
    x, y = x, y * torch.tensor([1, 2, 1, 0.1, 1])
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name == "feature_corrected_cka":  # whose units must have something in common
        return x @ (1 + matrix(4) / 4), y @ (1 + matrix(5) / 4)
    if name in ("ridge_r_squared", "ridge_correlation"):  # so few that a ridge is of use
        return x[:40], y[:40] + 3 * torch.randn(40, UNITS, dtype=torch.float64)
    if name in ("cycle_knn", "rank_similarity"):  # which hardly change where many are near
        return x[:60], y[:60]
    return x, y


def check_move(changed, move, harmless):
    if move in harmless:
        assert changed < 1e-9
    else:
        assert changed > 1e-4


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("move", MOVES)
def test_declared_invariances_hold_and_the_others_do_not(name, move, pair, value):
    x, y = pair
    changed = abs(value(name, MOVES[move](x), y) - value(name, x, y))
    check_move(changed, move, MEASURES[name].invariant_to)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("move", MOVES)
def test_the_second_representation_is_felt_like_the_first_or_as_its_measure_says(
    name, move, pair, value
):
    x, y = pair
    changed = abs(value(name, x, MOVES[move](y)) - value(name, x, y))
    check_move(changed, move, SECOND.get(name, MEASURES[name].invariant_to))


@pytest.mark.parametrize("name", SCALE_FREE)
def test_what_does_not_feel_the_scale_does_not_at_any_that_float64_holds(name, pair, value):
    x, y = (z[:60] for z in pair)
    expected = value(name, x, y)
    for one, other in ((1e60, 1e60), (1e-60, 1e-60), (1e60, 1e-60)):
        assert abs(value(name, one * x, other * y) - expected) < 1e-9


@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_symmetric_where_they_are_said_to_be(name, pair, value):
    x, y = pair
    difference = abs(value(name, x, y) - value(name, y, x))
    assert (difference < 1e-12) == MEASURES[name].symmetric


@pytest.mark.parametrize("name", MEASURES)
def test_a_representation_is_perfectly_similar_to_itself(name, pair, value):
    x, y = pair
    perfect = MEASURES[name].perfect
    perfect = value(name, x, x) if perfect is None else perfect
    assert abs(value(name, x, x) - perfect) < 1e-9
    assert abs(value(name, x, y) - perfect) > 1e-3


@pytest.mark.parametrize("name", MEASURES)
def test_values_are_finite_scalars_within_their_range(name, pair, value):
    x, y = pair
    low, high = MEASURES[name].range
    for found in (value(name, x, y), value(name, -x, y), value(name, y, x)):
        assert found.shape == ()
        assert found.dtype == torch.float64
        assert math.isfinite(found)
        assert low - 1e-12 <= found <= high + 1e-12


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_that_is_a_distance_says_so(name):
    row = MEASURES[name]
    assert (row.perfect == 0) == name.endswith("_distance") == ("(a distance" in row.about)
    assert row.perfect in (None, row.range[0] if row.perfect == 0 else row.range[1])


@pytest.mark.parametrize("name", MEASURES)
def test_neither_the_order_nor_the_size_of_batches_matters(name, pair, value, streamed, more_of):
    x, y = pair
    whole = value(name, x, y)
    for size in (1, 7, 64, len(x)):
        batches = torch.arange(len(x)).split(size)
        assert abs(streamed(name, x, y, batches) - whole) <= 1e-12 * max(1, abs(whole))
    if MEASURES[name].needs == "folds":  # its parts are made of examples in the order they come in
        return
    order = torch.randperm(len(x))
    more = [one[order] for one in more_of(name, len(x))]
    shuffled = MEASURES[name](x[order], y[order], *more)
    assert abs(shuffled - whole) <= 1e-12 * max(1, abs(whole))


@pytest.mark.parametrize("name", MEASURES)
def test_what_was_accumulated_and_matrices_give_the_same(name, pair, value, streamed):
    assert torch.equal(streamed(name, *pair, [slice(None)]), value(name, *pair))


@pytest.mark.parametrize("name", MEASURES)
def test_flattenings_are_known_by_name(name):
    assert set(MEASURES[name].flattenings) <= set(FLATTENINGS)
    assert MEASURES[name].flattenings


# Averages over examples: the same examples once more are the same averages.
AVERAGES = [
    *(name for name, row in MEASURES.items() if row.needs == "moments" and name != "unbiased_cka"),
    "rbf_cka",
    "distance_correlation",
    "rsm_norm_distance",
]


@pytest.mark.parametrize("name", AVERAGES)
def test_showing_the_data_twice_changes_no_average(name, pair, value):
    x, y = pair
    once, twice = value(name, x, y), value(name, x.repeat(2, 1), y.repeat(2, 1))
    assert abs(twice - once) < 1e-9 * abs(once)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_leave_their_input_as_it_was(name, pair, value):
    x, y = pair
    before = x.clone(), y.clone()
    value(name, x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize(
    ("biased", "unbiased"), [(linear_cka, unbiased_cka), (rbf_cka, unbiased_rbf_cka)]
)
def test_few_unrelated_examples_look_alike_to_biased_but_not_to_unbiased_cka(biased, unbiased):
    pairs = [(torch.randn(50, 100), torch.randn(50, 100)) for _ in range(20)]
    high = torch.stack([biased(x, y) for x, y in pairs])
    low = torch.stack([unbiased(x, y) for x, y in pairs])
    assert high.min() > 0.5
    assert low.abs().max() < 0.1
    assert low.mean().abs() < 0.02


def test_both_ckas_agree_where_examples_are_many(pair):
    x, y = (z.repeat(50, 1) + 0.1 * torch.randn(10_000, UNITS) for z in pair)
    assert abs(linear_cka(x, y) - unbiased_cka(x, y)) < 1e-3


def test_a_wide_gaussian_kernel_is_a_linear_one(pair):
    for wide, linear in ((rbf_cka, linear_cka), (unbiased_rbf_cka, unbiased_cka)):
        assert abs(wide(*pair, bandwidth=300.0) - linear(*pair)) < 1e-4
        assert abs(wide(*pair, bandwidth=0.5) - linear(*pair)) > 1e-3


def test_a_ridge_shrinks_canonical_correlations_and_feels_an_invertible_map(pair):
    x, y = pair
    for measure in (mean_cca, mean_squared_cca):
        values = [measure(x, y, ridge=ridge) for ridge in (0.0, 1e-12, 0.01, 0.1, 1.0, 10.0)]
        assert values == sorted(values, reverse=True)
        assert abs(values[0] - values[1]) < 1e-9
        assert measure(x, x, ridge=0.1) < 0.99
        for move in MOVES:
            check_move(
                abs(measure(MOVES[move](x), y, ridge=0.1) - values[3]), move, {*MOVES} - {"mix"}
            )


def test_a_ridge_gives_few_examples_a_value_that_is_not_1():
    x, y = torch.randn(20, 30), torch.randn(20, 40)
    assert 0 < mean_cca(x, y, ridge=1.0) < 0.8


def test_the_whole_variance_makes_svcca_the_mean_canonical_correlation(pair):
    assert abs(svcca(*pair, share=1.0) - mean_cca(*pair)) < 1e-9
    assert abs(svcca(*pair) - mean_cca(*pair)) > 1e-3


def test_svcca_does_not_see_directions_of_little_variance(pair):
    x, y = pair
    noise = [1e-3 * torch.randn(200, 3, dtype=torch.float64) for _ in range(2)]
    more = [torch.cat(both, 1) for both in zip(pair, noise, strict=True)]
    assert abs(svcca(*more) - svcca(x, y)) < 1e-3
    assert mean_cca(*more) < mean_cca(x, y) - 0.1


def test_alpha_leads_from_canonical_correlations_to_procrustes(pair):
    x, y = pair
    # All sides have five directions, so the whitened cosine is the mean canonical correlation.
    assert abs(procrustes_similarity(x, y, alpha=0.0) - mean_cca(x, y)) < 1e-9
    assert abs(procrustes_similarity(x, y, alpha=1 - 1e-12) - procrustes_similarity(x, y)) < 1e-9
    assert abs(procrustes_similarity(x, y, alpha=1e-12) - mean_cca(x, y)) < 1e-9
    for alpha in (0.0, 0.3, 1.0):
        cosine = procrustes_similarity(x, y, alpha=alpha)
        assert abs(angular_shape_distance(x, y, alpha=alpha) - cosine.arccos()) < 1e-12


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_angular_distance_obeys_the_triangle_inequality(alpha):
    shapes = [torch.randn(60, 4, dtype=torch.float64) for _ in range(6)]
    shapes += [z + torch.randn(60, 4, dtype=torch.float64) for z in shapes]
    angle = [[float(angular_shape_distance(a, b, alpha=alpha)) for b in shapes] for a in shapes]
    n = range(len(shapes))
    assert all(angle[i][k] <= angle[i][j] + angle[j][k] + 1e-9 for i in n for j in n for k in n)


@pytest.mark.parametrize("name", METRICS)
def test_what_is_called_a_metric_obeys_the_triangle_inequality(name, value):
    shapes = [torch.randn(40, d, dtype=torch.float64) for d in (2, 3, 4)]
    shapes += [z @ torch.randn(z.shape[1], 4).double() for z in shapes] + [shapes[0] + 1]
    between = [[float(value(name, a, b)) for b in shapes] for a in shapes]
    n = range(len(shapes))
    assert all(
        between[i][k] <= between[i][j] + between[j][k] + 1e-6 for i in n for j in n for k in n
    )


def test_decoding_leads_from_canonical_correlations_to_linear_cka(pair):
    x, y = pair
    assert abs(decoding_agreement(x, y, ridge=0.0) - mean_squared_cca(x, y)) < 1e-9
    assert abs(decoding_agreement(x, y, ridge=1e-9) - mean_squared_cca(x, y)) < 1e-6
    assert abs(decoding_agreement(x, y, ridge=1e9) - linear_cka(x, y)) < 1e-6


def test_r_squared_the_other_way_round_is_that_of_the_other_two(pair):
    x, y = pair
    assert reverse_r_squared(x, y) == r_squared(y, x) != r_squared(x, y)


def test_a_planted_map_is_recovered_by_what_is_free_of_maps(value):
    x = torch.randn(100, UNITS, dtype=torch.float64)
    y = x @ (matrix(3) + 3 * torch.eye(UNITS)) + matrix(2)[0]
    for name, row in MEASURES.items():
        if "mix" in row.invariant_to:
            assert abs(value(name, x, y) - 1) < 1e-9, name


def test_gulp_without_a_ridge_counts_what_canonical_correlations_do_not_share(pair):
    x, y = pair
    expected = (2 * UNITS * (1 - mean_squared_cca(x, y))).sqrt()
    assert abs(gulp_distance(x, y, ridge=0.0) - expected) < 1e-9
    assert gulp_distance(x, y, ridge=1e-9) > gulp_distance(x, y) > gulp_distance(x, y, ridge=1.0)


def test_shared_dimensions_are_cka_times_both_dimensions(pair):
    x, y = pair
    eigenvalues = torch.linalg.eigvalsh(torch.cov(x.T))
    own = shared_dimensions(x, x)
    assert abs(own - eigenvalues.sum() ** 2 / eigenvalues.square().sum()) < 1e-9
    both = (own * shared_dimensions(y, y)).sqrt()
    assert abs(shared_dimensions(x, y) - linear_cka(x, y) * both) < 1e-9


def test_the_normalised_bures_similarity_is_that_of_procrustes(pair):
    x, y = (z[:30] - z[:30].mean(0) for z in pair)
    gram_x, gram_y = x @ x.T, y @ y.T
    values, vectors = torch.linalg.eigh(gram_x)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    fidelity = torch.linalg.eigvalsh(root @ gram_y @ root).clamp(min=0).sqrt().sum()
    expected = fidelity / (gram_x.trace() * gram_y.trace()).sqrt()
    assert abs(procrustes_similarity(x, y) - expected) < 1e-6
    squared = (gram_x.trace() + gram_y.trace() - 2 * fidelity) / len(x)
    assert abs(size_and_shape_distance(x, y) - squared.sqrt()) < 1e-6


def test_only_the_same_space_is_a_whole_overlap(value):
    x = torch.randn(60, 6, dtype=torch.float64)
    assert abs(value("eigenspace_overlap", x[:, :3], x) - 0.5) < 1e-9
    assert abs(value("mean_squared_cca", x[:, :3], x) - 1) < 1e-9


def test_a_ridge_is_chosen_where_examples_are_few():
    x = torch.randn(60, 40, dtype=torch.float64)
    y = x @ torch.randn(40, 3).double() + 6 * torch.randn(60, 3).double()
    assert ridge_r_squared(x, y) > cross_validated_r_squared(x, y) + 0.2
    assert abs(ridge_r_squared(x, torch.randn(60, 3).double())) < 0.2
    planted = x[:, :4] @ torch.randn(4, 3).double()
    assert abs(ridge_correlation(x[:, :4], planted) - 1) < 1e-9


def test_distance_correlation_sees_what_is_not_linear(value):
    x = torch.randn(300, 1, dtype=torch.float64)
    assert abs(torch.corrcoef(torch.cat([x, x**2], 1).T)[0, 1]) < 0.25
    assert value("distance_correlation", x, x**2) > 0.4
    assert value("distance_correlation", x, torch.randn(300, 1).double()) < 0.2


@pytest.mark.parametrize("units", [10, 40])
def test_a_sample_of_units_is_as_alike_as_all_of_them_once_corrected(units):
    causes = torch.randn(200, 10, dtype=torch.float64)
    others = torch.randn(200, 10, dtype=torch.float64)
    sizes = torch.linspace(2, 0.2, 10, dtype=torch.float64)

    def population(z):
        return (z * sizes) @ torch.randn(10, 1000).double() + 2 * torch.randn(200, 1000).double()

    x, y = population(causes), population(0.8 * causes + 0.6 * others)
    whole = float(feature_corrected_cka(x, y))
    assert abs(whole - unbiased_cka(x, y)) < 0.03
    found, biased = [], []
    for _ in range(60):
        some = [z[:, torch.randperm(1000)[:units]] for z in (x, y)]
        found.append(float(feature_corrected_cka(*some)))
        biased.append(float(unbiased_cka(*some)))
    assert abs(sum(found) / 60 - whole) < 0.04
    assert sum(biased) / 60 < whole - 3 / units


def test_units_without_a_like_are_listed_and_lower_only_what_matches_all():
    x = torch.randn(300, 6, dtype=torch.float64)
    order = [2, 0, 3, 1]
    y = torch.cat([x[:, order], torch.randn(300, 4, dtype=torch.float64)], 1)
    found = soft_matching(x, y, share=0.5)
    assert found.unmatched_x == [4, 5]
    assert found.unmatched_y == [4, 5, 6, 7]
    assert found.weights.sum().item() == pytest.approx(0.5)
    assert abs(partial_matching_correlation(x, y, share=0.5) - 1) < 1e-9
    assert soft_matching_correlation(x, y) < 0.7
    dead = torch.cat([x, torch.ones(300, 1)], 1)
    assert soft_matching(x, dead).unmatched_y == [6]
    values = [float(partial_matching_correlation(x, y, share=s)) for s in (0.1, 0.37, 0.8, 1)]
    assert values == sorted(values, reverse=True)


def test_a_soft_matching_of_as_many_units_pairs_them_and_else_spreads_them(pair):
    x, y = pair
    assert abs(soft_matching_correlation(x, y) - matched_correlation(x, y)) < 1e-12
    assert abs(soft_matching_correlation(x, x.repeat(1, 3)) - 1) < 1e-12
    assert soft_matching_distance(x, x.repeat(1, 3)) == 0
    weights = soft_matching(x, y[:, :3]).weights
    torch.testing.assert_close(weights.sum(1), torch.full((5,), 0.2).double())
    torch.testing.assert_close(weights.sum(0), torch.full((3,), 1 / 3).double())


def test_a_linear_program_matches_units_of_very_unlike_size_as_exactly():
    x, y = torch.randn(20, 24).double() * torch.logspace(-3, 3, 24), torch.randn(20, 35).double()
    gain = -(x[:, :, None] - y[:, None]).square().mean(0).numpy()
    best, found = _by_copies(gain, 840, 1), _by_program(gain, 1)
    assert (found * gain).sum() == pytest.approx((best * gain).sum(), rel=1e-9)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.01])
def test_copies_of_units_and_a_linear_program_match_alike(share):
    for d, e in ((6, 4), (5, 5), (3, 7)):
        gain = torch.randn(d, e, dtype=torch.float64)
        found = _by_copies(gain.numpy(), math.lcm(d, e), share)
        for weights in (found, _by_program(gain.numpy(), share)):
            assert weights.sum() == pytest.approx(share)
            assert weights.sum(1).max() <= 1 / d + 1e-9
            assert weights.sum(0).max() <= 1 / e + 1e-9
            assert (weights * gain.numpy()).sum() == pytest.approx((found * gain.numpy()).sum())


def test_neighbours_in_another_order_are_the_same_neighbours(value):
    angle = torch.linspace(0, 1, 30, dtype=torch.float64)[:, None] ** 2
    x = torch.cat([angle.cos(), angle.sin()], 1)
    for name in ("jaccard_similarity", "rank_similarity", "second_order_cosine", "cknna"):
        assert abs(value(name, x, 3 * x, k=4) - 1) < 1e-9
    again = x[torch.randperm(30)]
    assert value("jaccard_similarity", x, again) < value("mutual_knn", x, again) < 0.6


def test_a_planted_permutation_is_recovered_by_matching(value):
    x = torch.randn(100, UNITS, dtype=torch.float64)
    for name in ("matched_correlation", "best_match_correlation"):
        assert abs(value(name, x, 3 * x[:, [2, 0, 4, 1, 3]] - 7) - 1) < 1e-12
        assert value(name, x, -x) < 0.2
    # One unit of x may be the best for two, but not matched with two.
    twice = x[:, [0, 0, 1, 2, 3]]
    assert abs(value("best_match_correlation", x, twice) - 1) < 1e-12
    assert value("matched_correlation", x, twice) < 0.9


def test_networks_that_only_hand_on_the_likeness_of_their_inputs_are_less_alike_deconfounded():
    inputs = torch.randn(100, 10, dtype=torch.float64)
    x, y = (torch.tanh(inputs @ torch.randn(10, 100).double() / 3) for _ in range(2))
    assert linear_cka(x, y) > 0.8
    assert deconfounded_cka(x, y, inputs) < linear_cka(x, y) - 0.2
    shared = torch.randn(100, 100, dtype=torch.float64)
    assert deconfounded_cka(shared + 0.1 * x, shared + 0.1 * y, inputs) > 0.9


def test_euclidean_dissimilarity_does_not_feel_what_moves_all_points_alike(pair):
    x, y = pair
    for measure in (rsa_pearson, rsa_spearman):
        for move in MOVES:
            changed = measure(MOVES[move](x), y, dissimilarity="euclidean") - measure(
                x, y, dissimilarity="euclidean"
            )
            check_move(changed.abs(), move, {*MOVES} - {"mix"})


def test_more_neighbours_are_shared_by_chance(pair):
    x = pair[0]
    unrelated = torch.randn(200, UNITS, dtype=torch.float64)
    for k in (5, 20, 100):
        assert abs(mutual_knn(x, unrelated, k=k) - k / 199) < 0.05


SMOOTH = [
    linear_cka,
    unbiased_cka,
    r_squared,
    procrustes_similarity,
    angular_shape_distance,
    decoding_agreement,
    rsa_pearson,
]


@pytest.mark.parametrize("measure", SMOOTH)
def test_gradients_equal_finite_differences(measure):
    x = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    if measure is rsa_pearson:
        y = torch.randn(8, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(measure, (x, y))


def test_measures_of_sums_take_kept_examples_too(pair):
    examples = Reservoir().update(*pair)
    for name, row in MEASURES.items():
        if row.needs == "moments":
            assert MEASURES[name](examples) == MEASURES[name](Moments().update(*pair))


@pytest.mark.parametrize("name", MEASURES)
def test_functions_of_the_table_can_be_imported(name):
    row = MEASURES[name]
    for function in (row.from_grams, row.resampled, row.directions, row.of_units):
        assert not function or callable(function.target)
    assert row.needs in ("moments", "classes") or not row.from_second_moments
    assert row.needs == "moments" or not row.directions
