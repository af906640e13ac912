"""Centered kernel alignment: with linear kernels from sums alone, and of many draws of examples."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.accumulators.reservoir import reservoir_of
from frankenstein.accumulators.small_sample import by_rows, few_rows
from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.kernels import (
    centred,
    centred_without_diagonal,
    gaussian_gram,
    kernel_cka,
    linear_gram,
    without_confounder,
)
from frankenstein.measures.shape import angle_of
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined
from frankenstein.shapes import per_sample


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
    return _linear_cka(x, y, "linear_cka")


def _linear_cka(x: Tensor | Moments, y: Tensor | None, name: str) -> Tensor:
    if by_rows(x, y):
        return _cka_by_rows(x, y, name, centred)
    moments = moments_of(x, y)
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, name, reason)
    norms = moments.covariance("xx").norm() * moments.covariance("yy").norm()
    return in_range(cross.square().sum() / norms)


def angular_cka_distance(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Angle in [0, π/2] radians whose cosine is `linear_cka`; 0 when y is x turned and rescaled.

    A metric: it obeys the triangle inequality, as one minus CKA does not. NaN as for `linear_cka`.
    Angles under 5e-7 cannot be told from 0 and are given as 0.

    Source: Williams et al. 2021, https://arxiv.org/abs/2110.14739; Lange et al. 2023,
    https://arxiv.org/abs/2206.10999.
    """
    return angle_of(_linear_cka(x, y, "angular_cka_distance"))


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
    if by_rows(x, y):
        return _cka_by_rows(x, y, "unbiased_cka", centred_without_diagonal)
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
    return in_range(cross / (xx.sqrt() * yy.sqrt()), -1)


def _cka_by_rows(
    x: Tensor | Moments, y: Tensor | None, name: str, centred: Callable[[Tensor], Tensor]
) -> Tensor:  # ()
    """CKA of fewer rows than units; of `Moments` each layer's Gram matrix is made once."""
    if not isinstance(x, Moments):
        few = few_rows(x, y)
        assert few is not None
        return kernel_cka(reservoir_of(*few), name, linear_gram, centred)
    reason = nothing_to_compare(x)
    if not reason and centred is centred_without_diagonal and x.n < 4:
        reason = f"it needs at least 4 examples, got {x.n}"
    if reason:
        return undefined(x.variance("x"), name, reason)
    (k, size_k), (l, size_l) = (_gram_of(x, side, centred) for side in "xy")  # noqa: E741
    for size, called in ((size_k, "first"), (size_l, "second")):
        if not size > 0:
            reason = f"all pairs of examples are equally alike in the {called} representation"
            return undefined(size, name, reason)
    return in_range(torch.dot(k.flatten(), l.flatten()) / (size_k * size_l), -1)


def _gram_of(
    moments: Moments, side: str, centred: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:  # (N, N), and its norm ()
    def make() -> tuple[Tensor, Tensor]:
        gram = centred(linear_gram(moments.rows[side]))
        return gram, gram.norm()

    return moments.cached(side, ("gram", centred), make)


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


def resampled_cka(
    xs: Tensor,  # (L, N, N), of `gram_stack`, or other kernels
    ys: Tensor,  # (M, N, N)
    unbiased: bool = True,
) -> ValueOfDraw:
    """CKA (L, M) of the examples drawn; NaN where a layer does not vary in them.

    A draw takes rows and columns out of the Gram matrices and centres what is left, so that its
    value is what its measure gives for these examples alone. Cost of a draw: O(n² L M), whatever
    the number of features.

    Source: Kornblith et al. 2019, eq. 3, https://arxiv.org/abs/1905.00414, and for the unbiased
    HSIC Song et al. 2012, eq. 5, https://jmlr.org/papers/v13/song12a.html.
    """
    if unbiased:
        off = 1 - torch.eye(xs.shape[1], dtype=xs.dtype, device=xs.device)
        xs, ys = xs * off, ys * off

    def value(i: Tensor, j: Tensor) -> Tensor:  # (L, M)
        k, l = _drawn(xs, i), _drawn(ys, j)  # noqa: E741
        rows_k, rows_l = k.sum(2), l.sum(2)
        k, l = k.flatten(1), l.flatten(1)  # noqa: E741
        a, b = _weights(len(i), unbiased)
        cross = k @ l.T - a * rows_k @ rows_l.T + b * torch.outer(rows_k.sum(1), rows_l.sum(1))
        norms = [_own_hsic(*side, a, b).sqrt() for side in ((k, rows_k), (l, rows_l))]
        return in_range(cross / torch.outer(*norms), -1 if unbiased else 0, 1, 1e-5)

    return value


def gram_stack(
    grams: Iterable[Tensor],  # (N, N) each: `scaled_gram` of a layer, or another kernel
    dtype: torch.dtype = torch.float32,
) -> Tensor:  # (L, N, N)
    """Kernel matrices of the same examples as `resampled_cka` takes them: centred, of norm 1.

    Neither changes a CKA, but both keep digits. float32 holds a value to some 1e-6, far below its
    spread, in a third of float64's time.
    """
    return torch.stack([_settled(gram).to(dtype) for gram in grams])


def scaled_gram(representation: Tensor) -> Tensor:  # (N, N) float64, from (N, ...)
    """The linear Gram matrix of a layer flattened per sample, centred, its largest number scaled.

    A CKA does not feel the scale; products of float32 activations of 1e-8 would underflow.
    """
    rows = per_sample(representation)
    rows = rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows
    rows = rows - rows[0]  # so that a unit that does not vary is 0, where its mean may be rounded
    rows = rows - rows.mean(0)
    size = rows.abs().amax()
    rows = rows / torch.where(size > 0, size, 1.0)
    return (rows @ rows.T).double()


def _settled(gram: Tensor) -> Tensor:
    gram = centred(gram.double())
    size = gram.norm()
    return gram / torch.where(size > 0, size, 1.0)


def _drawn(grams: Tensor, index: Tensor) -> Tensor:  # (L, n, n)
    count, n, index = grams.shape[1], len(index), index.to(grams.device)
    if n == count and torch.equal(index, torch.arange(n, device=index.device)):
        return grams  # all of them in order: what one side is at every shuffle
    cells = (count * index[:, None] + index).flatten()
    return grams.flatten(1).index_select(1, cells).unflatten(1, (n, n))


def _own_hsic(grams: Tensor, rows: Tensor, a: float, b: float) -> Tensor:  # (L,)
    """A layer's HSIC with itself; NaN where rounding is all there is."""
    square = torch.linalg.vector_norm(grams, dim=1).square()
    own = square - a * rows.square().sum(1) + b * rows.sum(1).square()
    return torch.where(own > 10 * torch.finfo(grams.dtype).eps * square, own, torch.nan)


def _weights(n: int, unbiased: bool) -> tuple[float, float]:
    """Of row sums and whole sums in a HSIC; the factor before it cancels in the ratio."""
    if not unbiased:
        return 2 / n, 1 / n**2
    if n < 4:
        return torch.nan, torch.nan
    return 2 / (n - 2), 1 / ((n - 1) * (n - 2))


def _of_rows(
    kernel: Callable[[Tensor, Tensor | None], Tensor],  # of a layer's rows, and of the inputs
    unbiased: bool,
    dtype: torch.dtype = torch.float32,
) -> Callable[..., ValueOfDraw]:
    """A function of all layers' rows, one list a side, and of the inputs."""

    def resampled(
        xs: Iterable[Tensor], ys: Iterable[Tensor], inputs: Tensor | None = None
    ) -> ValueOfDraw:
        x, y = (gram_stack([kernel(rows, inputs) for rows in side], dtype) for side in (xs, ys))
        return resampled_cka(x, y, unbiased)

    return resampled


def _deconfounded(rows: Tensor, inputs: Tensor | None) -> Tensor:
    """What the inputs of all kept examples do not explain: each side without its own inputs."""
    assert inputs is not None
    return without_confounder(linear_gram(rows), linear_gram(inputs))


resampled_linear_cka = _of_rows(lambda rows, _: scaled_gram(rows), unbiased=False)
resampled_unbiased_cka = _of_rows(lambda rows, _: scaled_gram(rows), unbiased=True)
resampled_rbf_cka = _of_rows(lambda rows, _: gaussian_gram(rows), unbiased=False)
resampled_unbiased_rbf_cka = _of_rows(lambda rows, _: gaussian_gram(rows), unbiased=True)
resampled_deconfounded_cka = _of_rows(_deconfounded, unbiased=False)


def resampled_angular_cka(
    xs: Iterable[Tensor], ys: Iterable[Tensor], inputs: Tensor | None = None
) -> ValueOfDraw:
    """`angular_cka_distance` of all pairs of layers; in float64, for arccos doubles lost digits."""
    cosine = _of_rows(lambda rows, _: linear_gram(rows), False, torch.float64)(xs, ys, inputs)
    return lambda i, j: angle_of(cosine(i, j))
