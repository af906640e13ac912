"""Do both representations say the same of how far every example is from every other?"""

from collections.abc import Iterable

from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.measures.cka import gram_stack, resampled_cka
from frankenstein.measures.dissimilarities import squared_distances
from frankenstein.measures.draws import ValueOfDraw, of_matrices
from frankenstein.measures.kernels import centred, kernel_cka
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined


def distance_correlation(x: Tensor | Reservoir, y: Tensor | None = None) -> Tensor:  # ()
    """Correlation in [0, 1] of doubly centred Euclidean distances; 1 when y is x turned and scaled.

    Its square is CKA with minus the distance for a kernel. 0 only for independent representations,
    of ever more examples; of few it is biased upwards, the more so the more units there are. NaN
    with a warning where a representation does not vary.

    Source: Székely et al. 2007, https://doi.org/10.1214/009053607000000505.
    Cost: O(N² (D + E)) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or only sums of them.
    """
    squared = kernel_cka(reservoir_of(x, y), "distance_correlation", _nearness, centred)
    return in_range(squared).sqrt()


def rsm_norm_distance(x: Tensor | Reservoir, y: Tensor | None = None) -> Tensor:  # ()
    """Root mean square difference of Euclidean distances of examples, at least 0.

    The Frobenius norm of the difference of both matrices of distances over N, so that it does not
    grow with the examples. In the unit of the representations: bring both to one scale first, or
    the larger decides. 0 when y is x turned and shifted. NaN as for `distance_correlation`.

    Source: Klabunde et al. 2023, RSM norm difference, https://arxiv.org/abs/2305.06329.
    """
    examples = reservoir_of(x, y)
    if reason := nothing_to_compare(examples):
        return undefined(examples.x.double(), "rsm_norm_distance", reason)
    return _apart(_distances(examples.x), _distances(examples.y))


def resampled_distance_correlation(
    xs: Iterable[Tensor], ys: Iterable[Tensor], inputs: Tensor | None = None
) -> ValueOfDraw:
    """`distance_correlation` of all pairs of layers, from distances that are made once."""
    x, y = (gram_stack([_nearness(rows) for rows in side]) for side in (xs, ys))
    squared = resampled_cka(x, y, unbiased=False)
    return lambda i, j: in_range(squared(i, j), rounding=1e-5).sqrt()


def _distances(rows: Tensor) -> Tensor:  # (N, N) float64
    return squared_distances(rows).sqrt()


def _nearness(rows: Tensor) -> Tensor:
    return -_distances(rows)


def _apart(x: Tensor, y: Tensor) -> Tensor:
    return (x - y).norm() / len(x)


def _unless_constant(distances: Tensor) -> Tensor | None:
    return distances if bool(distances.any()) and len(distances) > 2 else None


resampled_rsm_norm_distance = of_matrices(_distances, _unless_constant, _apart)
