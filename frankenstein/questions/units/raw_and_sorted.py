"""Are two networks' activations of an image alike: unit by unit, and whichever unit does it?

Sorting the units of each network by their activation, image by image, leaves the distribution of
activations over units and nothing else. No other pairing of units gives a larger cosine or
correlation, so sorted numbers are high for almost anything; only their excess over a control says
something.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from scipy.special import gammainc, gammaincc, ndtr
from torch import Tensor

from frankenstein.shapes import ShapeError

KINDS = ("raw_cosine", "raw_pearson", "sorted_cosine", "sorted_pearson")
_DRAWN = 999  # orders


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


class ByChance(NamedTuple):
    """A raw number had y's units been in any other order, all orders being as likely."""

    mean: float
    spread: float  # standard deviation over orders
    chance: float  # of a number as large as the one there is: its p


def in_any_order(
    x: Tensor,  # (N, D)
    y: Tensor,  # (N, D)
) -> Mapping[str, ByChance]:  # of "raw_cosine" and "raw_pearson", means over examples
    """What a chance order of y's units gives in place of the raw numbers.

    The mean over examples of Σ_u x_u y_π(u) is Σ_u M_u,π(u) with M the mean of all products of a
    unit of x with one of y. With C the doubly centred M its variance over orders is ΣC² / (D - 1),
    and its third central moment D ΣC³ / ((D - 1)(D - 2)): both exact. The chance is that of 999
    random orders. Where none of them reaches the number it follows from the three moments by a
    gamma distribution (Pearson's type III), which is too sure of itself where few units decide, and
    is 1 / 1000 at most and 1 / D! at least. Examples without a number are left out of the mean, as
    in `raw_and_sorted`.

    Sources: Hoeffding 1951, https://doi.org/10.1214/aoms/1177729545; type III: Mielke & Berry 2007,
    chapter 2.

    Raises:
        ShapeError: if x and y are not of the same shape.
    """
    if x.shape != y.shape:
        raise ShapeError(
            f"units in another order need rows of one length, got {tuple(x.shape)} and "
            f"{tuple(y.shape)}; raw numbers are of networks of one width"
        )
    x, y = x.double(), y.double()
    found = {}
    for kind, (a, b) in {"raw_cosine": (x, y), "raw_pearson": (_centred(x), _centred(y))}.items():
        a, b = a / _norm(a), b / _norm(b)
        known = ~(a.isnan().any(1) | b.isnan().any(1))
        found[kind] = _over_orders(a[known].T @ b[known] / known.sum())
    return found


def _over_orders(m: Tensor) -> ByChance:
    """Of the sum of m's entries, one of each row and column."""
    d = len(m)
    mean = float(m.sum() / d)
    if d == 1 or math.isnan(mean):
        return ByChance(mean, 0 * mean, 1 + 0 * mean)
    c = m - m.mean(0) - m.mean(1, keepdim=True) + m.mean()
    spread = float((c.square().sum() / (d - 1)).sqrt())
    if spread <= 1e-12 * float(m.abs().max()):
        return ByChance(mean, 0.0, 1.0)
    drawn = c[torch.arange(d), _random_orders(d).to(c.device)].sum(1)
    reached = int((drawn >= c.trace() - 1e-9 * spread).sum())
    if reached:
        return ByChance(mean, spread, (1 + reached) / (1 + _DRAWN))
    third = float(d * (c / spread).pow(3).sum() / ((d - 1) * (d - 2))) if d > 2 else 0.0
    chance = min(_upper_tail((float(m.trace()) - mean) / spread, third), 1 / (1 + _DRAWN))
    return ByChance(mean, spread, max(chance, math.exp(-math.lgamma(d + 1))))


@lru_cache(maxsize=2)
def _random_orders(d: int) -> Tensor:  # (_DRAWN, D)
    return torch.rand(_DRAWN, d, generator=torch.Generator().manual_seed(0)).argsort(1)


def _upper_tail(z: float, skewness: float) -> float:
    """Of the type III distribution of mean 0 and variance 1; the normal one without skewness."""
    if abs(skewness) < 1e-4:
        return float(ndtr(-z))
    shape = 4 / skewness**2
    place = max(0.0, shape + math.copysign(z, z * skewness) * math.sqrt(shape))
    return float(gammaincc(shape, place) if skewness > 0 else gammainc(shape, place))


def over_examples(
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
