"""Centered kernel alignment with linear kernels, over any number of examples, from sums alone."""

from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.reservoir import reservoir_of
from frankenstein.accumulators.small_sample import few_rows
from frankenstein.measures.kernels import (
    centred,
    centred_without_diagonal,
    kernel_cka,
    linear_gram,
)
from frankenstein.measures.undefined import nothing_to_compare, undefined


def linear_cka(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Linear CKA in [0, 1]; 1 when y is x rotated, shifted or rescaled.

    Biased upwards when examples are few for the number of units; see `unbiased_cka`.
    NaN with a warning where a representation does not vary.

    Source: Kornblith et al. 2019, eq. 4 with linear kernels, https://arxiv.org/abs/1905.00414.
    Cost: O(N D E) for the sums, in float64; O(N² (D + E)) for fewer rows than units.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.

    >>> import torch
    >>> x = torch.eye(4)[:, :2]
    >>> linear_cka(x, 3 * x + 10).round(decimals=4)
    tensor(1., dtype=torch.float64)
    """
    if (few := few_rows(x, y)) is not None:
        return kernel_cka(reservoir_of(*few), "linear_cka", linear_gram, centred)
    moments = moments_of(x, y)
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, "linear_cka", reason)
    norms = moments.covariance("xx").norm() * moments.covariance("yy").norm()
    return cross.square().sum() / norms


def unbiased_cka(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Linear CKA from unbiased HSICs: 1 for y = x rotated, about 0 (or below) for unrelated ones.

    The HSIC of the whole data set, exactly: not a mean over batches. NaN with a warning where a
    representation does not vary, or for fewer than four examples.

    Source: Song et al. 2012, eq. 5, https://jmlr.org/papers/v13/song12a.html, in the ratio of
    Nguyen et al. 2021, https://arxiv.org/abs/2010.15327; in feature space, so that no N x N matrix
    is made, unless there are fewer rows than units.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, or NaN or Inf among them.
    """
    if (few := few_rows(x, y)) is not None:
        return kernel_cka(reservoir_of(*few), "unbiased_cka", linear_gram, centred_without_diagonal)
    moments = moments_of(x, y)
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), "unbiased_cka", reason)
    if moments.n < 4:
        reason = f"it needs at least 4 examples, got {moments.n}"
        return undefined(moments.covariance("xy"), "unbiased_cka", reason)
    cross, xx, yy = (unbiased_hsic(moments, pair) for pair in ("xy", "xx", "yy"))
    if not (xx > _rounding(moments, "xx") and yy > _rounding(moments, "yy")):
        # As for one-hot rows, or a unit that fires once: all pairs of examples are equally alike.
        return undefined(cross, "unbiased_cka", "the unbiased HSIC of one with itself is 0")
    return cross / (xx * yy).sqrt()


def unbiased_hsic(moments: Moments, pair: str = "xy") -> Tensor:  # ()
    """Unbiased estimate of the linear HSIC of the pair "xx", "xy" or "yy", from at least 4 rows.

    Source: Song et al. 2012, eq. 5, with the kernel matrices multiplied out. Rows are taken minus
    the moments' shift, which HSIC does not feel.
    """
    n, a, b = moments.n, pair[0], pair[1]
    x, y, second = moments.first[a], moments.first[b], moments.second
    diagonal = moments.fourth[pair]  # Σ k_i l_i: what the diagonals left out would add
    trace = second[pair].square().sum() - diagonal
    sum_k = x @ x - second[a + a].trace()
    sum_l = y @ y - second[b + b].trace()
    sum_kl = x @ second[pair] @ y - x @ moments.third[b + a] - y @ moments.third[a + b] + diagonal
    total = trace + sum_k * sum_l / ((n - 1) * (n - 2)) - 2 * sum_kl / (n - 2)
    return total / (n * (n - 3))


def _rounding(moments: Moments, pair: str) -> Tensor:  # ()
    """What is left of an unbiased HSIC of 0 when its terms cancel, with a wide margin."""
    return 1e-12 * moments.second[pair].square().sum() / (moments.n * (moments.n - 3))
