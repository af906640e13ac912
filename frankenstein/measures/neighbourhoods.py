"""What the neighbours of an example are like in both: how many, in which order, how near."""

from functools import partial

import torch
from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir
from frankenstein.measures.draws import of_matrices
from frankenstein.measures.neighbours import Neighbours, angles, compared, neighbours
from frankenstein.measures.undefined import in_range


def jaccard_similarity(x: Tensor | Reservoir, y: Tensor | None = None, k: int = 10) -> Tensor:  # ()
    """Examples that are among the k nearest in both over those in either; a mean, in [0, 1].

    Nearest by cosine; where several are equally far, each is in by a part. NaN as `mutual_knn`.

    Source: Klabunde et al. 2023, k-NN Jaccard similarity, https://arxiv.org/abs/2305.06329.
    """
    return compared(x, y, k, "jaccard_similarity", _jaccard)


def rank_similarity(x: Tensor | Reservoir, y: Tensor | None = None, k: int = 10) -> Tensor:  # ()
    """How alike the k nearest are ranked in x and in y, in [0, 1]; 1 for the same order.

    Of the neighbours that both have, Σ 2 / ((1 + |r - s|)(r + s)) of their ranks r and s, over its
    largest value 1 + 1/2 + ... for so many; 0 if they have none; a mean over examples. An example
    that has two among its nearest equally far, in x or y, has no ranks and is left out. NaN as for
    `mutual_knn`, and where none is left.

    Source: Klabunde et al. 2023, rank similarity, https://arxiv.org/abs/2305.06329.
    """
    reason = f"every example has several among its {k} nearest that are equally far"
    return compared(x, y, k, "rank_similarity", _ranked_alike, reason)


def second_order_cosine(
    x: Tensor | Reservoir, y: Tensor | None = None, k: int = 10
) -> Tensor:  # ()
    """Cosine in [-1, 1] of an example's cosines with its neighbours in x and in y; a mean.

    Neighbours are the k nearest of either. An example that is at right angles to all of them in x
    or y, as a row of zeros is, is left out. NaN as for `mutual_knn`, and where none is left.

    Source: Hamilton et al. 2016, https://arxiv.org/abs/1606.02821.
    """
    reason = "every example is at right angles to all of its neighbours"
    return compared(x, y, k, "second_order_cosine", _second_order, reason)


def cknna(x: Tensor | Reservoir, y: Tensor | None = None, k: int = 10) -> Tensor:  # ()
    """CKA over pairs that are near in both: centred kernel nearest-neighbour alignment, in [-1, 1].

    Kernels are the cosines, each less the mean of its row; a pair counts if the second is among the
    k nearest of the first in both. With every pair it would be CKA of unit rows. NaN as for
    `mutual_knn`.

    Source: Huh et al. 2024, appendix A, https://arxiv.org/abs/2405.07987.
    """
    reason = "neighbours are no nearer than others are on average"
    return compared(x, y, k, "cknna", _aligned, reason)


def cycle_knn(x: Tensor | Reservoir, y: Tensor | None = None, k: int = 10) -> Tensor:  # ()
    """Share in [0, 1] of examples that one of their k nearest in y has among its k nearest in x.

    Not symmetric, and a representation with itself need not have 1: nobody may be near to its
    neighbours. NaN as for `mutual_knn`.

    Source: Huh et al. 2024, appendix B, https://arxiv.org/abs/2405.07987.
    """
    return compared(x, y, k, "cycle_knn", _back_again)


def _jaccard(x: Neighbours, y: Neighbours) -> Tensor:
    both = torch.minimum(x.near, y.near).sum(1)
    return in_range((both / (2 * x.k - both)).mean())


def _ranked_alike(x: Neighbours, y: Neighbours) -> Tensor:
    (r, tied_x), (s, tied_y) = map(_ranks, (x, y))
    both = (r <= x.k) & (s <= x.k)
    score = torch.where(both, 2 / ((1 + (r - s).abs()) * (r + s)), 0).sum(1)
    most = torch.arange(1, x.k + 1, device=r.device).double().reciprocal().cumsum(0)
    return in_range((score / most[both.sum(1).clamp(min=1) - 1])[~(tied_x | tied_y)].mean())


def _ranks(side: Neighbours) -> tuple[Tensor, Tensor]:  # (N, N) from 1 on, (N,) bool
    """Places of all others by distance, and whose first k are not told apart."""
    ordered, order = side.distances.clone().fill_diagonal_(torch.inf).sort(1)
    first = ordered[:, : side.k + 1]
    tied = (first.diff(dim=1) <= 1e-12 * first[:, 1:]).any(1)
    return order.argsort(1).double() + 1, tied


def _second_order(x: Neighbours, y: Neighbours) -> Tensor:
    weight, a, b = torch.maximum(x.near, y.near), 1 - x.distances, 1 - y.distances
    sizes = [(weight * z.square()).sum(1) for z in (a, b)]
    known = (sizes[0] > 1e-24) & (sizes[1] > 1e-24)
    cosines = (weight * a * b).sum(1) / (sizes[0] * sizes[1]).sqrt()
    return in_range(cosines[known], -1).mean()


def _aligned(x: Neighbours, y: Neighbours) -> Tensor:
    a, b = (z.distances.mean(1, keepdim=True) - z.distances for z in (x, y))  # cosines, centred
    own_x, own_y = (
        torch.where(own > 1e-12 * z.distances.norm(), own, torch.nan)
        for z, own in ((x, (x.near.sqrt() * a).norm()), (y, (y.near.sqrt() * b).norm()))
    )
    return in_range((torch.minimum(x.near, y.near) * a * b).sum() / own_x / own_y, -1)


def _back_again(x: Neighbours, y: Neighbours) -> Tensor:
    return in_range(torch.minimum(y.near, x.near.T).amax(1).mean())


_ten = partial(neighbours, 10)
resampled_jaccard_similarity = of_matrices(angles, _ten, _jaccard)
resampled_rank_similarity = of_matrices(angles, _ten, _ranked_alike)
resampled_second_order_cosine = of_matrices(angles, _ten, _second_order)
resampled_cknna = of_matrices(angles, _ten, _aligned)
resampled_cycle_knn = of_matrices(angles, _ten, _back_again)
