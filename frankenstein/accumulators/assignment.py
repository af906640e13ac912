"""Which row goes with which column where several answers are as good: one is stated."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from frankenstein.accumulators.linear import TIED


def assignment(
    gain: Tensor,  # (E, D)
) -> Tensor:  # (2, min(E, D)) int64, on the CPU: rows, ascending, and the column of each
    """The one-to-one pairs of rows and columns of largest sum, as scipy finds them.

    Where other pairs do as well, each within 1e-9 of the largest gain, as many rows as can have
    the column of their own number, and the others one as near to it as can be (by the sum of
    squared distances). So rounding does not choose, and what is not tied is as it was.

    Cost: a second assignment where there are ties.

    >>> assignment(torch.tensor([[1.0, 3.0], [2.0, 3.5]]))[1], assignment(torch.zeros(2, 3))[1]
    (tensor([1, 0]), tensor([0, 1]))
    """
    if len(gain) > gain.shape[1]:
        columns, rows = assignment(gain.T)
        order = rows.argsort()
        return torch.stack([rows[order], columns[order]])
    found = torch.as_tensor(_assigned(gain.detach().double().cpu().numpy()))
    return torch.stack([torch.arange(len(found)), found])


def _assigned(given: NDArray[np.float64]) -> NDArray[np.int64]:
    found = linear_sum_assignment(given, maximize=True)[1]
    rows, columns = given.shape
    # Rows that are indifferent take the columns left.
    gain = np.concatenate([given, np.zeros((columns - rows, columns))])
    own = np.concatenate([found, np.setdiff1d(np.arange(columns), found)])
    number = np.arange(columns)
    loss = gain[number, own][:, None] - gain  # of a row in every other column
    # A column's price is the most that rows which move along a path to it would gain, so that in
    # the end no row gains by paying for another than its own; where it breaks even, there is a tie.
    price, tie = np.zeros(columns), TIED * np.abs(gain).max(initial=0)
    for _ in range(columns):
        offered = (price[own][:, None] - loss).max(0)
        if (offered <= price + tie / 1000).all():
            break
        price = np.maximum(price, offered)
    tied = loss + price - price[own][:, None] <= tie
    if tied.sum() == columns:
        return found
    cost = np.where(tied, np.square(number[:, None] - number, dtype=float), np.inf)
    cost[number, number] -= float(columns) ** 3
    return linear_sum_assignment(cost)[1][:rows]
