"""Centered kernel alignment with other kernels than the linear one, over kept examples."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.accumulators.small_sample import centred_rows
from frankenstein.errors import UserError
from frankenstein.measures.dissimilarities import squared_distances
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined


def rbf_cka(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    bandwidth: float = 1.0,  # of the median distance
) -> Tensor:  # ()
    """CKA with Gaussian kernels, in [0, 1]; 1 when y is x rotated, shifted or rescaled.

    The kernels' width is `bandwidth` times the median distance of all pairs of examples, each with
    itself included. From the biased HSIC, as in the paper: biased upwards when examples are few;
    see `unbiased_rbf_cka`. NaN with a warning where a representation does not vary, or so little
    that the median distance is 0.

    Source: Kornblith et al. 2019, eqs. 3 and 4 with the RBF kernels of section 5,
    https://arxiv.org/abs/1905.00414.
    Cost: O(N² (D + E)) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or only sums of them.
    """
    return kernel_cka(reservoir_of(x, y), "rbf_cka", _gaussian(bandwidth), centred)


def unbiased_rbf_cka(
    x: Tensor | Reservoir,
    y: Tensor | None = None,
    bandwidth: float = 1.0,  # of the median distance
) -> Tensor:  # ()
    """CKA with Gaussian kernels from unbiased HSICs: about 0 (or below) for unrelated ones.

    As `rbf_cka`; NaN with a warning for fewer than four examples too, or where all pairs of
    examples are equally alike.

    Source: Song et al. 2012, eq. 5, https://jmlr.org/papers/v13/song12a.html.
    """
    kernel = _gaussian(bandwidth)
    return kernel_cka(reservoir_of(x, y), "unbiased_rbf_cka", kernel, centred_without_diagonal)


def deconfounded_cka(
    x: Tensor | Reservoir,  # (N, D), or all three already
    y: Tensor | None = None,  # (N, E)
    inputs: Tensor | None = None,  # (N, ...), what both representations are made of
) -> Tensor:  # ()
    """Linear CKA in [0, 1] of what the likeness of the inputs does not explain.

    From each representation's centred Gram matrix that of the inputs is taken out by least squares,
    and what is then negative definite is dropped. Two random networks look alike to `linear_cka`
    because their inputs are, and less so here. NaN with a warning where a representation or the
    input does not vary, or the input explains a representation altogether.

    Source: Cui et al. 2022, https://arxiv.org/abs/2202.00095. The order is its authors'
    own (DeltaCKA with remove_negative_eig, https://github.com/ykumards/simtorch): units are centred
    first, so that Gram matrices are before the regression, whose intercept is then 0, and are still
    after it.
    Cost: O(N² (D + E) + N³) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x, y and inputs hold different numbers of examples.
        UserError: if there are no examples, NaN or Inf among them, or no inputs.
    """
    examples = reservoir_of(x, y, inputs)
    confounder = linear_gram(examples.inputs)
    if reason := nothing_to_compare(examples):
        return undefined(confounder, "deconfounded_cka", reason)
    if not confounder.any():
        reason = "the input is the same for every example"
        return undefined(confounder, "deconfounded_cka", reason)
    left = [without_confounder(linear_gram(rows), confounder) for rows in (examples.x, examples.y)]
    for gram, name in zip(left, ("first", "second"), strict=True):
        if not gram.any():
            reason = f"the input explains the {name} representation altogether"
            return undefined(confounder, "deconfounded_cka", reason)
    return _cosine(*left)


def kernel_cka(
    examples: Reservoir,
    name: str,  # of the measure, in warnings
    kernel: Callable[[Tensor], Tensor],  # rows to (N, N)
    centred: Callable[[Tensor], Tensor],  # without diagonal for the unbiased HSIC
) -> Tensor:  # ()
    """CKA with any kernel; NaN with a warning as for `rbf_cka` and `unbiased_rbf_cka`."""
    reason = nothing_to_compare(examples)
    if not reason and centred is centred_without_diagonal and examples.n_kept < 4:
        reason = f"it needs at least 4 examples, got {examples.n_kept}"
    if reason:
        return undefined(examples.x.double(), name, reason)
    grams = []
    for rows, called in ((examples.x, "first"), (examples.y, "second")):
        gram = kernel(rows)
        if gram.isnan().any():
            reason = f"half of all pairs of examples are the same in the {called} representation"
            return undefined(gram, name, reason)
        grams.append(centred(gram))
        if not grams[-1].any():
            reason = f"all pairs of examples are equally alike in the {called} representation"
            return undefined(gram, name, reason)
    return _cosine(*grams)


def linear_gram(rows: Tensor) -> Tensor:  # (N, N) float64
    """Inner products of the centred rows."""
    rows = centred_rows(rows)
    return rows @ rows.T


def gaussian_gram(rows: Tensor, bandwidth: float = 1.0) -> Tensor:  # (N, N) float64
    """Gaussian kernels of a width that is a share of the median distance; NaN if that is 0."""
    distances = squared_distances(rows)
    values = distances.flatten()
    median = (values.median() - (-values).median()) / 2  # of an even number both in the middle
    width = torch.where(median > 0, median, torch.nan)
    return torch.exp(-distances / (2 * bandwidth**2 * width))


def centred(gram: Tensor) -> Tensor:
    """A kernel matrix whose rows and columns have mean 0; 0 if rounding is all that is left."""
    means = gram.mean(0)
    return _but_rounding(gram - means - means[:, None] + means.mean(), gram)


def _gaussian(bandwidth: float) -> Callable[[Tensor], Tensor]:
    if not bandwidth > 0:
        raise UserError(f"the bandwidth is a share of the median distance, got {bandwidth:g}")
    return partial(gaussian_gram, bandwidth=bandwidth)


def _cosine(a: Tensor, b: Tensor) -> Tensor:  # ()
    return in_range((a * b).sum() / (a.norm() * b.norm()), -1)


def centred_without_diagonal(gram: Tensor) -> Tensor:
    """Centred so that inner products are n (n - 3) times Song's HSIC.

    Source: Székely & Rizzo 2014, https://arxiv.org/abs/1310.2926.
    """
    n, gram = len(gram), gram.clone().fill_diagonal_(0)
    means = gram.sum(0) / (n - 2)
    centred = gram - means - means[:, None] + means.sum() / (n - 1)
    return _but_rounding(centred.fill_diagonal_(0), gram)


def _but_rounding(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(part.norm() <= 1e-12 * whole.norm(), 0, part)


def without_confounder(gram: Tensor, confounder: Tensor) -> Tensor:
    """What is left of a Gram matrix beside its multiple of another, made positive again."""
    share = (gram * confounder).sum() / confounder.square().sum()
    left = _but_rounding(gram - share * confounder, gram)
    eigenvalues, vectors = torch.linalg.eigh((left + left.T) / 2)
    return _but_rounding((vectors * eigenvalues.clamp(min=0)) @ vectors.T, gram)
