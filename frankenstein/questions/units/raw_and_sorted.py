"""Are two networks' activations of an image alike: unit by unit, and whichever unit does it?

Sorting the units of each network by their activation, image by image, leaves the distribution of
activations over units and nothing else. No other pairing of units gives a larger cosine or
correlation, so sorted numbers are high for almost anything; only their excess over a control says
something.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from frankenstein.shapes import ShapeError

KINDS = ("raw_cosine", "raw_pearson", "sorted_cosine", "sorted_pearson")


def raw_and_sorted(
    x: Tensor,  # (K, N, D): K networks, N examples, D units
    y: Tensor,  # (L, N, E)
) -> Mapping[str, Tensor]:  # each of KINDS: (K, L, N), float64, in [-1, 1]
    """Cosine and Pearson correlation over units, example by example, raw and sorted.

    Sorted, networks with different numbers of units compare their quantile functions: the shorter
    row is read off linearly at as many even levels as the longer one has units. Raw, they have no
    unit i in common, and all is NaN. So is the cosine of a row of zeros, and the correlation of a
    row whose units are all alike.

    Cost: one sort of each row and one product; all networks and examples at once.

    Raises:
        ShapeError: if x and y are not (K, N, D) and (L, N, E) of the same examples.

    >>> likeness = raw_and_sorted(torch.tensor([[[1.0, 2, 3]]]), torch.tensor([[[3.0, 1, 2]]]))
    >>> {kind: round(values.item(), 3) for kind, values in likeness.items()}
    {'raw_cosine': 0.786, 'raw_pearson': -0.5, 'sorted_cosine': 1.0, 'sorted_pearson': 1.0}
    """
    if x.ndim != 3 or y.ndim != 3 or x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"activations are (networks, examples, units) of the same examples, got "
            f"{tuple(x.shape)} and {tuple(y.shape)}; use unsqueeze(0) for one network"
        )
    x, y = x.double(), y.double()
    units = max(x.shape[2], y.shape[2])
    in_order = _quantiles(x, units), _quantiles(y, units)
    likeness = {}
    for name, (a, b) in {"raw": (x, y), "sorted": in_order}.items():
        likeness[f"{name}_cosine"] = _cosine(a, b)
        likeness[f"{name}_pearson"] = _cosine(_centred(a), _centred(b))
    return likeness


def in_other_orders(
    x: Tensor,  # (N, D)
    y: Tensor,  # (N, D)
    orders: Tensor,  # (M, D) int64, each an order of y's units
) -> Mapping[str, Tensor]:  # "raw_cosine" and "raw_pearson": (M,), means over examples
    """The raw numbers, had y's units been in other orders: what chance gives, and how it strays.

    The mean over examples of Σ_u x_u y_π(u) is Σ_u M_u,π(u) with M the mean of all products of a
    unit of x with one of y, so that an order costs no more than reading D numbers. Examples without
    a number are left out of the mean, as in `raw_and_sorted`.

    Raises:
        ShapeError: if x and y are not of the same shape.
    """
    if x.shape != y.shape:
        raise ShapeError(
            f"units in another order need rows of one length, got {tuple(x.shape)} and "
            f"{tuple(y.shape)}; raw numbers are of networks of one width"
        )
    x, y = x.double(), y.double()
    means = {}
    for kind, (a, b) in {"raw_cosine": (x, y), "raw_pearson": (_centred(x), _centred(y))}.items():
        a, b = a / _norm(a), b / _norm(b)
        known = ~(a.isnan().any(1) | b.isnan().any(1))
        products = a[known].T @ b[known] / known.sum()
        means[kind] = products[torch.arange(len(products), device=x.device), orders].sum(1)
    return means


def mean_and_spread(
    values: Tensor,  # (..., N)
) -> tuple[Tensor, Tensor]:  # (...), (...)
    """Mean and standard deviation over the examples for which there is a value; NaN for none."""
    known = ~values.isnan()
    mean = values.nanmean(-1)
    away = torch.where(known, values - mean[..., None], 0.0)
    return mean, (away.square().sum(-1) / known.sum(-1)).sqrt()


def _quantiles(z: Tensor, count: int) -> Tensor:  # (K, N, count)
    """Each row sorted, and read off at `count` even levels between its least and its largest."""
    z = z.sort(-1).values
    if z.shape[-1] == count:
        return z
    level = torch.linspace(0, z.shape[-1] - 1, count, dtype=z.dtype, device=z.device)
    below = level.floor().long().clamp(max=max(z.shape[-1] - 2, 0))
    above = (below + 1).clamp(max=z.shape[-1] - 1)
    return torch.lerp(z[..., below], z[..., above], level - below)


def _centred(z: Tensor) -> Tensor:
    # What is left of a constant row is rounding, which would correlate with anything.
    centred = z - z.mean(-1, keepdim=True)
    constant = z.amax(-1, keepdim=True) == z.amin(-1, keepdim=True)
    return torch.where(constant, 0.0, centred)


def _cosine(x: Tensor, y: Tensor) -> Tensor:  # (K, L, N)
    if x.shape[2] != y.shape[2]:
        return x.new_full((len(x), len(y), x.shape[1]), torch.nan)
    x, y = (z / _norm(z) for z in (x, y))
    return torch.einsum("knd,lnd->kln", x, y).clamp(-1, 1)


def _norm(z: Tensor) -> Tensor:  # NaN for rows of zeros
    norm = torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    return torch.where(norm > 0, norm, torch.nan)
