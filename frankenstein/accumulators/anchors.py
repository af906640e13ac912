"""Examples that two networks see as anchors, and what is learned of one network by itself."""

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.errors import UserError, counted
from frankenstein.shapes import per_location, rows_of_both


class Anchored:
    """The first `count` rows of two representations as anchors; sums of those that come after.

    These are sums of y's coordinates relative to y's anchors with y, which hold nothing of x; and
    in `both`, those of x and y, from which other stitches are solved.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.both = AdaptiveMoments(per_location)
        self._anchors: list[tuple[Tensor, Tensor]] = []
        self._learned = AdaptiveMoments()

    def update(
        self,
        source: Tensor,  # (N, ...)
        target: Tensor,  # (N, ...)
    ) -> "Anchored":
        """Add a batch of both representations; returns self.

        Raises:
            ShapeError: if the two hold a different number of rows once flattened.
        """
        x, y = rows_of_both(per_location, source, target)
        missing = self.count - sum(len(rows) for rows, _ in self._anchors)
        if missing > 0:
            self._anchors.append((x[:missing].double(), y[:missing].double()))
            x, y = x[missing:], y[missing:]
        if len(y):
            self.both.update(x, y)
            y = y.double()
            self._learned.update(relative(y, self.anchors()[1]), y)
        return self

    def all_reduce(self) -> "Anchored":
        """Those of one process: a family that is solved by anchors is not trained on several."""
        return self

    def frozen(self) -> "Anchored":
        """Itself, to which no more is added."""
        return self

    def anchors(self) -> tuple[Tensor, Tensor]:  # (K, D), (K, E) float64
        """Both networks' representations of the anchors.

        Raises:
            UserError: if there are not as many examples.
        """
        x, y = (torch.cat(rows) for rows in zip(*self._anchors, strict=True))
        if len(x) < self.count:
            raise UserError(f"{counted(self.count, 'anchor')} asked for, and there are {len(x)}")
        return x, y

    def learned(self) -> Moments:
        """y's coordinates relative to y's anchors, as x, with y.

        Raises:
            UserError: if there are too few examples beside the anchors.
        """
        moments = self._learned.frozen()
        if moments.n < 2:
            raise UserError(
                f"a decoder learns from examples beside its {self.count} anchors, and there are "
                f"{moments.n}; solve on more"
            )
        return moments


def relative(
    z: Tensor,  # (N, D)
    anchors: Tensor,  # (K, D)
) -> Tensor:  # (N, K)
    """Cosines of every row with every anchor; 0 where one of the two is 0.

    Source: Moschella et al. 2023, eq. 3, https://arxiv.org/abs/2209.15430.
    """
    return of_length_1(z) @ of_length_1(anchors).T


def of_length_1(
    z: Tensor,  # (..., D, ...)
    dim: int = -1,
) -> Tensor:  # the same
    """Directions along an axis, of values of any size; 0 stays 0."""
    largest = z.abs().amax(dim, keepdim=True)
    z = z / torch.where(largest > 0, largest, 1)  # squares of what is left neither vanish nor end
    length = z.norm(dim=dim, keepdim=True)
    return z / torch.where(length > 0, length, 1)
