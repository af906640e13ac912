"""CKA of every layer with every layer for many draws of examples, from Gram matrices made once."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from frankenstein.measures.draws import ValueOfDraw
from frankenstein.measures.kernels import centred, gaussian_gram, linear_gram, without_confounder
from frankenstein.shapes import per_sample


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
        return cross / torch.outer(*norms)

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
) -> Callable[..., ValueOfDraw]:
    """A function of all layers' rows, one list a side, and of the inputs."""

    def resampled(
        xs: Iterable[Tensor], ys: Iterable[Tensor], inputs: Tensor | None = None
    ) -> ValueOfDraw:
        x, y = (gram_stack([kernel(rows, inputs) for rows in side]) for side in (xs, ys))
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
