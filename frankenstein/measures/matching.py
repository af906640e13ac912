"""Units matched softly: by optimal transport, whatever the numbers of units, all or the best."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor

from frankenstein.accumulators.moments import Moments, moments_of
from frankenstein.errors import UserError
from frankenstein.measures.shape import root_of
from frankenstein.measures.undefined import in_range, nothing_to_compare, undefined
from frankenstein.measures.units import correlation_matrix

_COPIES = 512  # of each side's units, up to which an assignment of them is the faster way
# As HiGHS takes them at the least; its own 1e-7 cost 1e-7 where units are of very unlike size.
_TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Matching(NamedTuple):
    """Which unit goes with which, how much, and which with none."""

    weights: Tensor  # (D, E), at least 0; rows add up to 1/D, columns to 1/E, or less
    unmatched_x: list[int]  # units of x that nothing of goes with a unit of y
    unmatched_y: list[int]


def soft_matching(
    x: Tensor | Moments,
    y: Tensor | None = None,
    share: float = 1.0,  # of the units that are matched, of each side
) -> Matching:
    """The soft matching of units of largest correlation; dead units go with none.

    Every unit of x that is alive has 1 over their number to give, every unit of y as much to take,
    and a share of all is matched. With as many units on both sides, a whole matching pairs them.
    Where several matchings are as good, which one comes out is left open; its correlation is not.

    Source: Khosla & Williams 2023, https://arxiv.org/abs/2311.09466; for a share below 1 Kapoor,
    Williams & Khosla 2026, https://arxiv.org/abs/2602.19331.
    Cost: a linear program in D E variables, by scipy on the CPU; an assignment of copies of units
    where one number of units divides the other, or their least common multiple is at most 512.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or for no share in (0, 1].
    """
    correlation = correlation_matrix(moments_of(x, y))
    live_x, live_y = (~correlation.isnan().all(side) for side in (1, 0))
    weights = torch.zeros_like(correlation)
    if live_x.any():
        live = live_x[:, None] & live_y
        weights[live] = transport(correlation[live_x][:, live_y], share).flatten()
    unmatched = [(weights.sum(side) <= 1e-12).nonzero().flatten().tolist() for side in (1, 0)]
    return Matching(weights, *unmatched)


def soft_matching_correlation(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Mean correlation in [-1, 1] of units matched softly, so that it is as large as can be.

    `matched_correlation` where both sides have as many units; else no unit is left over: each is
    spread over several. Dead units of either side are left out; NaN with a warning where a
    representation does not vary. Source, cost and errors as for `soft_matching`.
    """
    return _correlation(x, y, "soft_matching_correlation", 1.0)


def partial_matching_correlation(
    x: Tensor | Moments,
    y: Tensor | None = None,
    share: float = 0.5,  # of the units that are matched, of each side
) -> Tensor:  # ()
    """Mean correlation in [-1, 1] of the half of the units that match best, softly.

    Units that have no like in the other do not lower it; `soft_matching` lists them. The share is
    given and not searched for (the paper takes the bend of the cost over it), so that values of
    several pairs are of as many units. It falls with the share. NaN as for
    `soft_matching_correlation`.

    Source: Kapoor, Williams & Khosla 2026, https://arxiv.org/abs/2602.19331, over the share, so
    that it is a mean. Cost and errors as for `soft_matching`.
    """
    return _correlation(x, y, "partial_matching_correlation", share)


def soft_matching_distance(x: Tensor | Moments, y: Tensor | None = None) -> Tensor:  # ()
    """Root mean square over examples and units of |x_i - y_j|, centred and matched softly.

    A metric: the Wasserstein distance of both sets of units, each a point of N activations over
    √N. At least 0, and 0 when y is x with its units in another order, shifted, or each as often
    again. It feels the scale. NaN with a warning where a representation does not vary. Distances
    under 3e-7 of the size cannot be told from 0 and are given as 0.

    Source: Khosla & Williams 2023, https://arxiv.org/abs/2311.09466. Cost and errors as for
    `soft_matching`, by squared distances.
    """
    moments = moments_of(x, y)
    cross = moments.covariance("xy")
    if reason := nothing_to_compare(moments):
        return undefined(cross, "soft_matching_distance", reason)
    size = moments.variance("x")[:, None] + moments.variance("y")
    apart = size - 2 * cross
    apart = torch.where(apart > 1e-13 * size, apart, 0)
    return root_of((transport(-apart, 1.0) * apart).sum(), size.new_zeros(()))


def transport(
    gain: Tensor,  # (D, E)
    share: float,  # of all that is moved
) -> Tensor:  # (D, E), adding up to the share
    """What goes from each row, 1/D or less, to each column, 1/E or less, of largest total gain.

    Raises:
        UserError: for no share in (0, 1].
    """
    if not 0 < share <= 1:
        raise UserError(f"the share of units that are matched lies in (0, 1], got {share:g}")
    given = gain.detach().double().cpu().numpy()
    copies = math.lcm(*given.shape)
    by_copies = copies <= max(_COPIES, *given.shape)
    found = _by_copies(given, copies, share) if by_copies else _by_program(given, share)
    return torch.as_tensor(found, device=gain.device)


def _by_copies(gain: NDArray[np.float64], copies: int, share: float) -> NDArray[np.float64]:
    """Pairs of copies; between two numbers of pairs, of one matching more and one less of it.

    The largest gain is linear in the share from one number of pairs to the next.
    """
    pairs = share * copies
    less = math.floor(pairs)
    parts = {less: 1 - (pairs - less), less + 1: pairs - less}
    return sum(  # type: ignore[return-value]
        part * _so_many_pairs(gain, copies, count) for count, part in parts.items() if part > 1e-12
    )


def _so_many_pairs(gain: NDArray[np.float64], copies: int, pairs: int) -> NDArray[np.float64]:
    """The others go with nothing, of which there is just enough."""
    d, e = gain.shape
    left = copies - pairs
    table = np.zeros((copies + left, copies + left))
    table[:copies, :copies] = gain.repeat(copies // d, 0).repeat(copies // e, 1)
    table[copies:, copies:] = -np.inf  # nothing does not go with nothing
    rows, columns = linear_sum_assignment(table, maximize=True)
    real = (rows < copies) & (columns < copies)
    moved = np.zeros((d, e))
    np.add.at(moved, (rows[real] * d // copies, columns[real] * e // copies), 1 / copies)
    return moved


def _by_program(gain: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    d, e = gain.shape
    scale = np.abs(gain).max() or 1.0  # tolerances of the solver are absolute
    sums = sparse.vstack(
        [sparse.kron(sparse.eye(d), np.ones((1, e))), sparse.kron(np.ones((1, d)), sparse.eye(e))]
    )
    most = np.concatenate([np.full(d, 1 / d), np.full(e, 1 / e)])
    everything = np.ones((1, d * e))
    found = linprog(
        -gain.ravel() / scale,
        A_ub=sums.tocsr(),
        b_ub=most,
        A_eq=everything,
        b_eq=[share],
        options=_TOLERANCES,
    )
    if not found.success:
        raise UserError(f"scipy found no matching of {d} with {e} units: {found.message}")
    return np.asarray(found.x).reshape(d, e)


def _correlation(x: Tensor | Moments, y: Tensor | None, name: str, share: float) -> Tensor:
    moments = moments_of(x, y)
    if reason := nothing_to_compare(moments):
        return undefined(moments.covariance("xy"), name, reason)
    weights = soft_matching(moments, share=share).weights
    matched = torch.where(weights > 0, weights * correlation_matrix(moments), 0)
    return in_range(matched.sum() / share, -1)
