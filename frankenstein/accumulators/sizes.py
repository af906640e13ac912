"""Numbers that sums can hold: finite, and neither so large nor so small that powers fail."""

import torch
from torch import Tensor

from frankenstein.errors import UserError

_LEAST, _MOST = 1e-70, 1e70  # whose fourth powers float64 holds, with room for sums


def check_rows(rows: Tensor, called: str) -> None:
    """Refuse rows that measures cannot be made of.

    Raises:
        UserError: for NaN or Inf, numbers beyond 1e70, or that differ by less than 1e-70 only.
    """
    if not rows.isfinite().all():
        raise not_finite(called)
    rows = rows.detach()
    if rows.dtype == torch.float64 and rows.numel():  # others cannot be so large, or so small
        check_size(float(rows.abs().amax()), float((rows - rows[0]).abs().amax()), called)


def check_size(size: float, spread: float, called: str) -> None:
    """Refuse numbers of this size, which vary by this much.

    Raises:
        UserError: if powers of them are beyond float64.
    """
    if not size < _MOST:
        raise UserError(f"the {called} holds numbers above {_MOST:g}, {_beyond}")
    if 0 < spread < _LEAST:
        raise UserError(f"the {called} varies by less than {_LEAST:g}, {_beyond}")


def not_finite(called: str) -> UserError:
    """What is raised of NaN or Inf."""
    return UserError(f"NaN or Inf in the {called}; look at the network that made it")


_beyond = "whose powers float64 does not hold; divide it by its largest number"
