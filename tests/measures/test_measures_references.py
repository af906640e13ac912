"""Each measure against its paper's definition, written anew in float64 NumPy."""

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import pdist, squareform
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.numbered import parts_of
from frankenstein.accumulators.ridge import PENALTIES
from frankenstein.catalog import MEASURES
from frankenstein.measures import (
    canonical_correlations,
    cross_validated_r_squared,
    decoding_agreement,
    deconfounded_cka,
    gulp_distance,
    matched_correlation,
    mean_cca,
    mutual_knn,
    partial_matching_correlation,
    procrustes_similarity,
    rbf_cka,
    rsa_kendall,
    rsa_pearson,
    rsa_spearman,
    svcca,
)
from frankenstein.surgery import capture
from frankenstein.zoo import load_network

WEIGHTS = Path(__file__).parents[2] / "model_weights" / "tiny10" / "digits"


def centring(n):
    return np.eye(n) - 1 / n


def gram_cka(k, l):  # noqa: E741
    """Kornblith et al. 2019, eqs. 3 and 4: HSIC of centred n x n Gram matrices."""
    h = centring(len(k))
    k, l = h @ k @ h, h @ l @ h  # noqa: E741
    return (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())


def song_hsic(k, l):  # noqa: E741
    """Song et al. 2012, eq. 5, term by term over n x n Gram matrices without their diagonals."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * (one @ k @ l @ one)) / (n * (n - 3))


def song_cka(k, l):  # noqa: E741
    return song_hsic(k, l) / np.sqrt(song_hsic(k, k) * song_hsic(l, l))


def gaussian(z, bandwidth=1.0):
    """Kornblith et al. 2019, section 5: a share of the median distance as the width."""
    distance = squareform(pdist(z))
    return np.exp(-(distance**2) / (2 * bandwidth**2 * np.median(distance**2)))


def deconfounded(x, y, z):
    """Cui et al. 2022 on centred Gram matrices: take out the input's, keep what is positive."""
    h = centring(len(x))
    grams = [h @ (part @ part.T) @ h for part in (x, y, z)]
    left = []
    for gram in grams[:2]:
        slope = np.linalg.lstsq(grams[2].reshape(-1, 1), gram.reshape(-1), rcond=None)[0][0]
        values, vectors = np.linalg.eigh(gram - slope * grams[2])
        left.append(vectors @ np.diag(np.maximum(values, 0)) @ vectors.T)
    return gram_cka(*left)


def basis(z):
    """Orthonormal columns that span those of z."""
    z = z / np.where(z.std(0) > 0, z.std(0), 1)
    vectors, sizes, _ = np.linalg.svd(z, full_matrices=False)
    return vectors[:, sizes > 1e-7 * sizes[0]]


def bjorck_golub(x, y):
    """Björck & Golub 1973: singular values of the product of orthonormal bases."""
    return np.linalg.svd(basis(x).T @ basis(y), compute_uv=False)


def svcca_of(x, y, share=0.99):
    """Raghu et al. 2017, section 2: SVD of each, the leading directions, then CCA of these."""
    kept = []
    for z in (x, y):
        vectors, sizes, _ = np.linalg.svd(z, full_matrices=False)
        count = np.searchsorted(np.cumsum(sizes**2) / np.sum(sizes**2), share) + 1
        kept.append(vectors[:, :count])
    return np.linalg.svd(kept[0].T @ kept[1], compute_uv=False).mean()


def pwcca_of(x, y):
    """Morcos et al. 2018, eq. 3: variates of x as columns, weighed by their products with units."""
    base = basis(x)
    turn, correlations, _ = np.linalg.svd(base.T @ basis(y), full_matrices=False)
    weights = np.abs((base @ turn).T @ x).sum(1)
    return (weights * correlations).sum() / weights.sum()


def decoding(x, y, ridge=1.0):
    """Harvey et al. 2024: the trace of the product of both sides' N x N smoothing matrices."""
    smooth = []
    for z in (x, y):
        c = z.T @ z / len(z)
        penalty = ridge * np.trace(c) / np.linalg.matrix_rank(basis(z)) * np.eye(len(c))
        smooth.append(z @ np.linalg.solve(c + penalty, z.T) / len(z))
    a, b = smooth
    return np.trace(a @ b) / np.sqrt(np.trace(a @ a) * np.trace(b @ b))


def turned(x, y):
    """Williams et al. 2021, eq. 8: the least distance of unit shapes, as a cosine."""
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(z, ((0, 0), (0, width - z.shape[1]))) for z in (x, y))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(y, x)
    return 1 - np.linalg.norm(x - y @ rotation) ** 2 / 2


def explained(x, y):
    """One minus the residual sum of squares over the total, of the orthogonal projection on x."""
    base = basis(x)
    residual = y - base @ (base.T @ y)
    return 1 - (residual**2).sum() / (y**2).sum()


def cross_validated(x, y, count=5):
    """Every part predicted from all others, by the pseudo-inverse on centred rows."""
    wrong = total = 0
    parts = parts_of(torch.arange(len(x)), count).numpy()
    for i in range(count):
        held = parts == i
        mean_x, mean_y = x[~held].mean(0), y[~held].mean(0)
        scale = x[~held].std(0)
        scale = np.where(scale > 0, scale, 1)
        centred = (x[~held] - mean_x) / scale
        if np.linalg.matrix_rank(centred) < len(scale):  # the map of minimum norm, as x is
            centred, scale = x[~held] - mean_x, 1
        weight = np.linalg.pinv(centred, rcond=1e-10) @ (y[~held] - mean_y)
        wrong += (((x[held] - mean_x) / scale @ weight + mean_y - y[held]) ** 2).sum()
        total += ((y[held] - mean_y) ** 2).sum()
    return 1 - wrong / total


def correlations(x, y):
    """Pearson correlation of every unit with every unit; those that never change left out."""
    x, y = x[:, x.std(0) > 0], y[:, y.std(0) > 0]
    return np.corrcoef(x.T, y.T)[: len(x.T), len(x.T) :]


def assigned(x, y):
    table = correlations(x, y)
    return table[linear_sum_assignment(-table)].mean()


def with_pattern(x, y):
    """Examples whose units are not all equal in either."""
    left = (np.ptp(x, 1) > 0) & (np.ptp(y, 1) > 0)
    return x[left], y[left]


def rsa(statistic, metric="correlation"):
    def reference(x, y):
        x, y = with_pattern(x, y)
        # Equal but for rounding is equal: ranks would tell them apart.
        one, other = (np.round(pdist(z, metric), 12) for z in (x, y))
        return statistic(one, other)[0]

    return reference


def shared_neighbours(x, y, k=10):
    """Huh et al. 2024, eq. 11, by cosines: of sets, one example after another."""
    near = []
    for z in (x, y):
        unit = z / np.linalg.norm(z, axis=1, keepdims=True)
        distance = squareform(pdist(unit))
        np.fill_diagonal(distance, np.inf)
        near.append(np.argsort(distance, 1)[:, :k])
    return np.mean([len({*a} & {*b}) / k for a, b in zip(*near, strict=True)])


def ensd(x, y):
    """Giaffar et al. 2024: the overlap of unit-trace Gram matrices, over their own."""
    k, l = (z @ z.T / (z**2).sum() for z in (x, y))  # noqa: E741
    return np.trace(k @ l) / (np.trace(k @ k) * np.trace(l @ l))


def feature_corrected(x, y):
    """Chun et al. 2025: Song's HSIC of different units, those of one unit with itself left out."""
    below = []
    for z in (x, y):
        own = sum(song_of_sums(np.outer(a, a), np.outer(a, a)) for a in z.T)
        q = z.shape[1]
        below.append((song_of_sums(z @ z.T, z @ z.T) - own) / (q * (q - 1)))
    above = song_of_sums(x @ x.T, y @ y.T) / (x.shape[1] * y.shape[1])
    return above / np.sqrt(below[0] * below[1])


def song_of_sums(k, l):  # noqa: E741
    """`song_hsic`, with sums for products of matrices."""
    n = len(k)
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    middle = k.sum() * l.sum() / ((n - 1) * (n - 2))
    return ((k * l).sum() + middle - 2 / (n - 2) * (k.sum(0) @ l.sum(0))) / (n * (n - 3))


def padded(x, y):
    width = max(x.shape[1], y.shape[1])
    return (np.pad(z, ((0, 0), (0, width - z.shape[1]))) for z in (x, y))


def size_and_shape(x, y):
    """Williams et al. 2021, eq. 7, over the root of the number of examples."""
    x, y = padded(x, y)
    rotation, _ = orthogonal_procrustes(y, x)
    return np.linalg.norm(x - y @ rotation) / np.sqrt(len(x))


def permuted(x, y):
    """The angle of netrep's PermutationMetric, of matrices filled with zeros."""
    x, y = padded(x, y)
    rows, columns = linear_sum_assignment(-x.T @ y)
    x, y = x[:, rows], y[:, columns]
    return np.arccos((x * y).sum() / (np.linalg.norm(x) * np.linalg.norm(y)))


def szekely(x, y):
    """Székely et al. 2007: distance covariance over the root of both distance variances."""
    a, b = (squareform(pdist(z)) for z in (x, y))
    a, b = (d - d.mean(0) - d.mean(1)[:, None] + d.mean() for d in (a, b))
    return np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def overlap(x, y):
    """May et al. 2019: squared norm of the product of left singular vectors, over the larger."""
    u, v = basis(x), basis(y)
    return np.linalg.norm(u.T @ v) ** 2 / max(u.shape[1], v.shape[1])


def gulp(x, y, ridge=0.01):
    """Boix-Adserà et al. 2022, section 3: of covariances of unit trace."""
    x, y = (z / np.linalg.norm(z) for z in (x, y))
    a, b = (np.linalg.inv(z.T @ z + ridge * np.eye(z.shape[1])) for z in (x, y))
    own = sum(np.trace(inverse @ z.T @ z @ inverse @ z.T @ z) for inverse, z in ((a, x), (b, y)))
    return np.sqrt(own - 2 * np.trace(a @ x.T @ y @ b @ y.T @ x))


def ridge_predictions(x, y, count=5):
    """Each part, and what ridge predicts of it: the penalty by parts within the others."""
    part = parts_of(torch.arange(len(x)), count).numpy()

    def predicted(fit, held, share):
        mean_x, mean_y = x[fit].mean(0), y[fit].mean(0)
        a, b = x[fit] - mean_x, y[fit] - mean_y
        left, sizes, right = np.linalg.svd(a, full_matrices=False)
        shrunk = (sizes / (sizes**2 + share * (a**2).sum()))[:, None] * (left.T @ b)
        return (x[held] - mean_x) @ right.T @ shrunk + mean_y

    for i in range(count):
        error = [
            sum(
                ((predicted((part != i) & (part != j), part == j, share) - y[part == j]) ** 2).sum()
                for j in range(count)
                if j != i
            )
            for share in PENALTIES
        ]
        share = PENALTIES[int(np.argmin(error))]
        yield y[part == i], predicted(part != i, part == i, share), y[part != i].mean(0)


def ridge_explained(x, y):
    parts = [*ridge_predictions(x, y)]
    wrong = sum(((truth - guess) ** 2).sum() for truth, guess, _ in parts)
    return 1 - wrong / sum(((truth - mean) ** 2).sum() for truth, _, mean in parts)


def ridge_correlated(x, y):
    y = y[:, y.std(0) > 0]
    return np.mean(
        [
            [np.corrcoef(a, b)[0, 1] for a, b in zip(truth.T, guess.T, strict=True)]
            for truth, guess, _ in ridge_predictions(x, y)
        ]
    )


def transported(cost, share=1.0):
    """Least cost of moving a share of uniform masses: a dummy takes what is not moved."""
    d, e = cost.shape
    left = 1 - share
    rows, columns = np.full(d + 1, 1 / d), np.full(e + 1, 1 / e)
    rows[-1], columns[-1] = left, left
    table = np.zeros((d + 1, e + 1))
    scale = np.abs(cost).max()  # the solver's tolerances are absolute
    table[:d, :e], table[-1, -1] = cost / scale, 1e3
    sums = [np.repeat(np.eye(d + 1), e + 1, 1), np.tile(np.eye(e + 1), d + 1)]
    found = linprog(table.ravel(), A_eq=np.concatenate(sums), b_eq=np.concatenate([rows, columns]))
    return (found.x.reshape(d + 1, e + 1)[:d, :e] * cost).sum()


def soft_distance(x, y):
    """Khosla & Williams 2023: the root of the least cost, of mean squared differences."""
    return np.sqrt(transported(((x[:, :, None] - y[:, None]) ** 2).mean(0)))


def kept_neighbours(x, y, k=10):
    """Of every example its k nearest in each, nearest first, and one minus all cosines in each."""
    near, distances = [], []
    for z in (x, y):
        unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300)
        distance = squareform(pdist(unit)) ** 2 / 2
        distances.append(distance)
        near.append((distance + np.diag(np.full(len(z), np.inf))).argsort(1)[:, :k].tolist())
    return *near, *distances


def jaccard(x, y):
    near_x, near_y, *_ = kept_neighbours(x, y)
    return np.mean(
        [len({*a} & {*b}) / len({*a} | {*b}) for a, b in zip(near_x, near_y, strict=True)]
    )


def ranked(x, y):
    """Klabunde et al. 2023, rank similarity."""
    near_x, near_y, *_ = kept_neighbours(x, y)
    found = []
    for a, b in zip(near_x, near_y, strict=True):
        ranks = [(a.index(j) + 1, b.index(j) + 1) for j in {*a} & {*b}]
        most = sum(1 / i for i in range(1, len(ranks) + 1))
        found.append(sum(2 / ((1 + abs(r - s)) * (r + s)) for r, s in ranks) / (most or 1))
    return np.mean(found)


def second_order(x, y):
    """Hamilton et al. 2016: cosine of the cosines with all neighbours of either."""
    found = []
    for a, b, *both in zip(*kept_neighbours(x, y), strict=True):
        union = sorted({*a} | {*b})
        one, other = (1 - row[union] for row in both)
        found.append(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return np.mean(found)


def centred_neighbours(x, y):
    """Huh et al. 2024, appendix A: a kernel less its row's mean, over pairs that are near."""
    near_x, near_y, k, l = kept_neighbours(x, y)  # noqa: E741
    k, l = (one.mean(1, keepdims=True) - one for one in (k, l))  # noqa: E741

    def align(a, b, near_a, near_b):
        return sum(a[i, j] * b[i, j] for i in range(len(a)) for j in {*near_a[i]} & {*near_b[i]})

    own = align(k, k, near_x, near_x) * align(l, l, near_y, near_y)
    return align(k, l, near_x, near_y) / np.sqrt(own)


def cycle(x, y):
    """Huh et al. 2024, appendix B: a neighbour in y that has the example near in x."""
    near_x, near_y, *_ = kept_neighbours(x, y)
    return np.mean([any(i in near_x[j] for j in near) for i, near in enumerate(near_y)])


# Of centred rows: their definitions do not feel a shift, their digits do.
CENTRED = {
    "linear_cka": lambda x, y: gram_cka(x @ x.T, y @ y.T),
    "unbiased_cka": lambda x, y: song_cka(x @ x.T, y @ y.T),
    "rbf_cka": lambda x, y: gram_cka(gaussian(x), gaussian(y)),
    "unbiased_rbf_cka": lambda x, y: song_cka(gaussian(x), gaussian(y)),
    "mean_cca": lambda x, y: bjorck_golub(x, y).mean(),
    "mean_squared_cca": lambda x, y: (bjorck_golub(x, y) ** 2).mean(),
    "svcca": svcca_of,
    "pwcca": pwcca_of,
    "decoding_agreement": decoding,
    "procrustes_similarity": turned,
    "angular_shape_distance": lambda x, y: np.arccos(turned(x, y)),
    "r_squared": explained,
    "reverse_r_squared": lambda x, y: explained(y, x),
    "cross_validated_r_squared": cross_validated,
    "unit_correlation": lambda x, y: np.nanmean(
        [np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True) if a.std() * b.std() > 0]
    ),
    "best_match_correlation": lambda x, y: correlations(x, y).max(0).mean(),
    "matched_correlation": assigned,
    "feature_corrected_cka": feature_corrected,
    "angular_cka_distance": lambda x, y: np.arccos(gram_cka(x @ x.T, y @ y.T)),
    "size_and_shape_distance": size_and_shape,
    "permutation_shape_distance": permuted,
    "shared_dimensions": ensd,
    "distance_correlation": szekely,
    "rsm_norm_distance": lambda x, y: np.linalg.norm(squareform(pdist(x) - pdist(y))) / len(x),
    "eigenspace_overlap": overlap,
    "gulp_distance": gulp,
    "ridge_r_squared": ridge_explained,
    "ridge_correlation": ridge_correlated,
    "soft_matching_correlation": lambda x, y: -transported(-correlations(x, y)),
    "partial_matching_correlation": lambda x, y: -transported(-correlations(x, y), 0.5) / 0.5,
    "soft_matching_distance": soft_distance,
}
WITHIN = {f"within_class_{name}": name for name in ("unbiased_cka", "linear_cka", "r_squared")}
AS_THEY_ARE = {
    "rsa_pearson": rsa(stats.pearsonr),
    "rsa_spearman": rsa(stats.spearmanr),
    "rsa_kendall": rsa(stats.kendalltau),
    "mutual_knn": shared_neighbours,
    "jaccard_similarity": jaccard,
    "rank_similarity": ranked,
    "second_order_cosine": second_order,
    "cknna": centred_neighbours,
    "cycle_knn": cycle,
    "mean_squared_distance": lambda x, y: ((x - y) ** 2).sum(1).mean(),
}
# That feel how large one is beside the other.
OF_SIZE = [
    name
    for name, row in MEASURES.items()
    if "scale" not in row.invariant_to or row.needs == "inputs"
]
# With 12 examples or fewer than units, these are defined.
OF_FEW = [
    name
    for name, row in MEASURES.items()
    if "cca" not in name
    and name not in ("r_squared", "reverse_r_squared", "eigenspace_overlap")
    and name != "within_class_r_squared"
]


def without_class_means(z, labels):
    """Rows less their class's mean; of a class with one row none."""
    rows = []
    for label in np.unique(labels):
        own = z[labels == label]
        if len(own) > 1:  # a unit that does not vary must not be left with rounding
            rows.append(np.where(np.ptp(own, 0) > 0, own - own.mean(0), 0))
    return np.concatenate(rows)


@pytest.fixture(scope="module")
def reference(inputs_of, labels_of):
    def value(name, x, y):
        x, y = (z.double().numpy() for z in (x, y))
        if name in WITHIN:
            labels = labels_of(len(x)).numpy()
            return CENTRED[WITHIN[name]](*(without_class_means(z, labels) for z in (x, y)))
        if name in AS_THEY_ARE:
            return AS_THEY_ARE[name](x, y)
        # Units that do not vary must not be left with the rounding of their mean.
        x, y = (np.where(np.ptp(z, 0) > 0, z - z.mean(0), 0) for z in (x, y))
        if name == "deconfounded_cka":
            return deconfounded(x, y, inputs_of(len(x)).flatten(1).numpy())
        return CENTRED[name](x, y)

    return value


def representations(n, offset=0.0, scale=1.0, dtype=torch.float64, units=6):
    """Alike, in units of one size, with a common offset of so many standard deviations."""
    x = torch.randn(n, units, dtype=torch.float64)
    y = x.tanh() + torch.randn(n, units).double() / 2 + x @ torch.randn(units, units).double() / 5
    return [((z + offset) * scale).to(dtype) for z in (x, y - 0.5)]


def related(z):
    """Units that have something in common."""
    return z + 2 * z[:, :1]


def check_equal(found, expected, tolerance=1e-9):
    assert abs(found - expected) < tolerance * abs(expected)


def test_every_measure_has_a_reference():
    assert {*CENTRED, *AS_THEY_ARE, *WITHIN, "deconfounded_cka"} == set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_measures_equal_their_papers(
    name, offset, scale, dtype, tolerance, reference, value, streamed
):
    x, y = representations(90, offset, scale, dtype)
    expected = reference(name, x, y)
    check_equal(value(name, x, y), expected, tolerance)
    check_equal(streamed(name, x, y, torch.arange(90).split(37)), expected, tolerance)


@pytest.mark.parametrize("name", [n for n in MEASURES if n not in OF_SIZE])
def test_one_side_may_be_much_larger_than_the_other(name, reference, value):
    x, y = representations(90, 3.0)
    check_equal(value(name, 1e-8 * x, 1e8 * y), reference(name, x, y))


@pytest.mark.parametrize("name", OF_FEW)
@pytest.mark.parametrize(("n", "d", "e"), [(12, 50, 50), (12, 15, 15), (30, 20, 40)])
def test_where_units_outnumber_examples_too(name, n, d, e, reference, value):
    x, y = torch.randn(n, d).double(), torch.randn(n, e).double()
    if d == e:
        y = y + x
    elif name in ("unit_correlation", "mean_squared_distance"):
        return
    if name == "ridge_correlation" and n < 15:
        return  # parts of two examples have no correlation
    if name == "feature_corrected_cka":
        x, y = (related(z) for z in (x, y))
    check_equal(value(name, x, y), reference(name, x, y))


DEFICIENT = {
    "dead unit": lambda z: torch.cat([z, torch.full((len(z), 1), 0.1).double()], 1),
    "dependent units": lambda z: torch.cat([z, z[:, :1] + z[:, 1:2], z[:, :1]], 1),
    "examples twice": lambda z: z.repeat(2, 1),
    "some examples twice": lambda z: torch.cat([z, z[:10]]),
    "rows of zeros": lambda z: torch.cat([z, torch.zeros(5, z.shape[1]).double()]),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("kind", DEFICIENT)
def test_where_units_or_examples_repeat_or_are_dead(name, kind, reference, value):
    if MEASURES[name].question == "neighbours" and "unit" not in kind:
        return  # where several are equally far, the paper's sets of neighbours are not defined
    x, y = representations(60)
    if name == "feature_corrected_cka":
        x, y = (related(z) for z in (x, y))
    x, y = (DEFICIENT[kind](z) for z in (x, y))
    check_equal(value(name, x, y), reference(name, x, y))


@pytest.fixture(scope="module")
def activations():
    """What a layer of two networks that ship makes of digits, in float32."""
    images = torch.tensor(load_digits().images[:240, None] / 16, dtype=torch.float32)
    images = interpolate(images, size=32, mode="bilinear") * 2 - 1
    found = {layer: [] for layer in ("bn3", "relu3", "fc")}
    for seed in (0, 1):
        network = load_network(WEIGHTS / f"in{seed}-gn{seed}.safetensors").eval()
        with torch.no_grad():
            seen = capture(network, [*found])(images)
        for layer, z in seen.items():
            found[layer].append(z if z.ndim == 2 else z.flatten(2).mean(2))
    return found


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("layer", ["bn3", "relu3", "fc"])
def test_on_real_activations(name, layer, activations, reference, value):
    x, y = activations[layer]
    expected = reference(name, x, y)
    check_equal(value(name, x, y), expected, 1e-4)
    check_equal(value(name, x.double(), y.double()), expected)


@pytest.mark.parametrize("n", [12, 60])
def test_deconfounded_cka_takes_the_steps_of_its_authors_code(n):
    """DeltaCKA of simtorch, step by step: another order of centring and an intercept that is 0."""
    x, y = (z.numpy() for z in representations(n, offset=5.0))
    z = np.random.default_rng(0).normal(size=(n, 4)) + x[:, :4]

    def normalised(rows):
        rows = rows - rows.mean(0)
        return rows / np.linalg.norm(rows)

    def residual(rows):
        gram, given = (normalised(part) @ normalised(part).T for part in (rows, z))
        design = np.stack([np.ones(n * n), given.ravel()], 1)
        beta = np.linalg.inv(design.T @ design) @ design.T @ gram.ravel()
        left = (gram.ravel() - design @ beta).reshape(n, n)
        values, vectors = np.linalg.eig(left)
        positive = vectors @ np.diag(np.where(values.real < 0, 0, values)) @ np.linalg.inv(vectors)
        return centring(n) @ positive.real @ centring(n)

    a, b = residual(x), residual(y)
    expected = (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())
    check_equal(deconfounded_cka(x, y, z), expected)


@pytest.mark.parametrize(("d", "e"), [(5, 5), (3, 8), (8, 3)])
def test_canonical_correlations_equal_the_singular_values_of_bjorck_and_golub(d, e):
    z = torch.randn(100, 3, dtype=torch.float64)
    x, y = (
        torch.cat([z, torch.randn(100, k, dtype=torch.float64)], 1)[:, :k]
        + 0.3 * torch.randn(100, k, dtype=torch.float64)
        for k in (d, e)
    )
    expected = bjorck_golub(x.numpy() - x.numpy().mean(0), y.numpy() - y.numpy().mean(0))
    found = canonical_correlations(Moments().update(x, y)).numpy()
    assert np.abs(found - expected).max() < 1e-9


def test_dead_and_dependent_units_add_no_canonical_correlations():
    x, y = torch.randn(100, 4, dtype=torch.float64), torch.randn(100, 5, dtype=torch.float64)
    more = torch.cat([x, x[:, :1] + x[:, 1:2], torch.full((100, 1), 7.0), x[:, :1]], 1)
    found = canonical_correlations(Moments().update(more, y))
    expected = canonical_correlations(Moments().update(x, y))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def centred_numpy(x, y):
    return [z.numpy() - z.numpy().mean(0) for z in (x, y)]


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_a_ridge_is_added_to_both_covariances(ridge):
    x, y = representations(50)
    a, b = centred_numpy(x, y)
    roots = []
    for z in (a, b):
        c = z.T @ z / len(z)
        values, vectors = np.linalg.eigh(c + ridge * np.trace(c) / len(c) * np.eye(len(c)))
        roots.append(vectors @ np.diag(values**-0.5) @ vectors.T)
    expected = np.linalg.svd(roots[0] @ a.T @ b @ roots[1] / len(a), compute_uv=False).mean()
    check_equal(mean_cca(x, y, ridge=ridge), expected)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 0.9])
def test_partial_whitening_is_that_of_williams(alpha):
    x, y = representations(50)
    white = []
    for z in centred_numpy(x, y):
        z = z / np.linalg.norm(z)
        values, vectors = np.linalg.eigh(z.T @ z)
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        white.append(z @ (alpha * np.eye(len(root)) + (1 - alpha) * root))
    check_equal(procrustes_similarity(x, y, alpha=alpha), turned(*white))


@pytest.mark.parametrize(
    ("measure", "option", "expected"),
    [
        (rbf_cka, {"bandwidth": 0.4}, lambda x, y: gram_cka(gaussian(x, 0.4), gaussian(y, 0.4))),
        (svcca, {"share": 0.8}, lambda x, y: svcca_of(x, y, 0.8)),
        (decoding_agreement, {"ridge": 0.1}, lambda x, y: decoding(x, y, 0.1)),
        (cross_validated_r_squared, {"count": 7}, lambda x, y: cross_validated(x, y, 7)),
        (rsa_pearson, {"dissimilarity": "euclidean"}, rsa(stats.pearsonr, "euclidean")),
        (rsa_spearman, {"dissimilarity": "euclidean"}, rsa(stats.spearmanr, "euclidean")),
        (mutual_knn, {"k": 3}, lambda x, y: shared_neighbours(x, y, 3)),
        (rsa_pearson, {"dissimilarity": "cosine"}, rsa(stats.pearsonr, "cosine")),
        (rsa_kendall, {"dissimilarity": "squared_euclidean"}, rsa(stats.kendalltau, "sqeuclidean")),
        (gulp_distance, {"ridge": 0.3}, lambda x, y: gulp(x, y, 0.3)),
        (
            partial_matching_correlation,
            {"share": 0.37},
            lambda x, y: -transported(-correlations(x, y), 0.37) / 0.37,
        ),
    ],
)
def test_parameters_are_those_of_the_papers(measure, option, expected):
    x, y = (z - z.mean(0) for z in representations(60))
    check_equal(measure(x, y, **option), expected(x.numpy(), y.numpy()))


@pytest.mark.parametrize(("d", "e"), [(5, 5), (4, 6), (6, 4)])
def test_the_matching_is_the_best_of_all(d, e):
    x, y = torch.randn(30, d).double(), torch.randn(30, e).double()
    table = correlations(x.numpy(), y.numpy())
    if d > e:
        table = table.T
    rows = range(len(table))
    best = max(np.mean(table[rows, p]) for p in permutations(range(table.shape[1]), len(table)))
    check_equal(matched_correlation(x, y), best)
