"""How a layer is normalised before a dictionary reads it."""

from collections.abc import Iterable

import torch
from torch import Tensor

from frankenstein.errors import UserError
from frankenstein.shapes import per_location


@torch.no_grad()
def mean_and_scale(
    representations: Iterable[Tensor],  # (N, ...) each
) -> tuple[Tensor, Tensor]:  # (C,), ()
    """The mean of every unit over examples and places, and the root mean square distance from it.

    Less the one and over the other, rows have mean squared length 1: a squared error is then the
    share of variance that is not explained, and one penalty means the same at every layer. The mean
    is taken off because features that point away from it would be dead from the start (Simon et
    al. 2026, https://arxiv.org/abs/2605.31518); one number for all units and examples, and not the
    length of each example as in Gao et al. 2024, so that it can be undone. One pass, sums only.

    Raises:
        UserError: if there are no examples, the layer is constant, or holds NaN or Inf.

    >>> mean, scale = mean_and_scale([torch.tensor([[1.0, 0.0], [5.0, 0.0]])])
    >>> mean.tolist(), scale.item()
    ([3.0, 0.0], 2.0)
    """
    n, shift = 0, torch.zeros(())
    first, second = torch.zeros(()), torch.zeros(())
    for z in representations:
        rows = per_location(z).double()
        if n == 0:
            shift = rows.mean(0)
        rows = rows - shift
        n += len(rows)
        first, second = first + rows.sum(0), second + rows.square().sum()
    if n == 0:
        raise UserError("no examples were given; is the data set empty?")
    variance = second / n - (first / n).square().sum()
    if not variance.isfinite():
        raise UserError("NaN or Inf in the representation; look at the network that made it")
    if variance <= 1e-24 * shift.square().sum():  # what rounding leaves of a constant
        raise UserError(
            "the layer is constant over these examples; a dictionary needs one that varies"
        )
    return (shift + first / n).float(), variance.sqrt().float()
