"""Is a stitched representation one that the receiver could have made?

Task loss matching can reach a high accuracy by representations that no image gives the receiver. In
full, where `docs/stitching.md` says why, and how far the numbers move with the floor:

- At the cut an example is summed up by s: the mean and the standard deviation (over n, not n - 1)
  over places of every unit; by its units as they are where there are no places.
- m and C are mean and covariance (over n) of the receiver's own s on training images: for the
  command line on those that controls are solved on, `controls.solved_on` of them.
- The score of an example is (s - m)ᵀ (C + λ 1)⁻¹ (s - m), its squared Mahalanobis distance, where
  the floor λ is 0.01 of the mean of C's diagonal: a deviation under a tenth of the statistics'
  typical standard deviation counts for little in any direction.
- The threshold comes from the receiver's own scores on a random half of the held-out images, one
  of every two successive ones (`parts_of` of their numbers): of K scores the ⌈0.95 (K + 1)⌉-th
  smallest, or the largest if there are fewer.
- The share outside is that of the images of the other half, or of those of them that are scored,
  above the threshold. It saturates: most stitches that are trained by task loss have 100 %.
- How far they are is the median of the root of their scores, over the receiver's own median.

Source: the question is that of Balogh & Jelasity 2025, https://arxiv.org/abs/2412.11299; they
train a classifier of representations for every layer, on images of two data sets, and take its
energy. The score here is that of Lee et al. 2018, https://arxiv.org/abs/1807.03888, which they take
of the means of units, around those of a class. Here it is without classes, so that labels do not
enter, and with standard deviations, so that patterns do; it needs no training and no other images.
"""

import math
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.accumulators.numbered import parts_of
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.errors import UserError
from frankenstein.shapes import Tokens, pooled

_SEED = 2  # of which half sets the threshold
FLOOR = 1e-2  # of the mean variance, added to that of every direction


def unit_statistics(
    z: Tensor,  # (N, C, H, W), (N, T, C) or (N, C)
) -> Tensor:  # (N, 2 C), or (N, C) where there are no places
    """Mean and standard deviation over places of every unit, of sentences over their tokens.

    >>> unit_statistics(torch.ones(5, 3, 2, 2)).shape
    torch.Size([5, 6])
    """
    if isinstance(z, Tokens):
        mean = pooled(z)
        squares = Tokens((z.values - mean[:, None]).square(), z.there)
        return torch.cat([mean, pooled(squares).sqrt()], 1).double()
    if z.ndim == 2:
        return z.double()
    places = z.flatten(2) if z.ndim == 4 else z.flatten(1, -2).transpose(1, 2)
    mean = places.mean(2)
    # Not torch.std_mean, which takes ten times as long on a CPU.
    std = (places - mean[:, :, None]).square().mean(2).sqrt()
    return torch.cat([mean, std], 1).double()


@dataclass(frozen=True, eq=False)
class Reference:
    """How the receiver's representations lie: mean and covariance of their statistics."""

    mean: Tensor
    root: Tensor  # Cholesky factor of the covariance, the floor added to it
    basis: Tensor | None  # of the span of few examples, in which `root` is then; None: of all units
    added: Tensor  # to the variance in every direction
    floor: float
    examples: int

    def score(self, z: Tensor) -> Tensor:  # (N,)
        """Squared Mahalanobis distance of every example: larger is further outside."""
        away = (unit_statistics(z) - self.mean).T
        beyond = away.new_zeros(())
        if self.basis is not None:
            within = self.basis.T @ away
            beyond = (away - self.basis @ within).square().sum(0) / self.added
            away = within
        return beyond + torch.linalg.solve_triangular(self.root, away, upper=False).square().sum(0)


class ReferenceSums:
    """Sums over the receiver's representations, from one pass, that become a `Reference`."""

    def __init__(self) -> None:
        self._rows = AdaptiveMoments(unit_statistics)

    def update(self, target: Tensor) -> None:
        """Add a batch of the receiver's representations."""
        self._rows.update(target, torch.zeros(len(target), 1, device=target.device))

    def solve(self, floor: float = FLOOR) -> Reference:
        """What scores need, of all that were added.

        Raises:
            UserError: for a floor of 0 or less.
        """
        if not floor > 0:
            raise UserError(f"a floor is a share of the mean variance, above 0, got {floor:g}")
        moments, basis = self._rows.frozen(), None
        added = floor * moments.variance("x").mean()
        if moments.rows:  # fewer than units: in a basis of their span, and at the floor beyond it
            basis, small = torch.linalg.qr(moments.rows["x"].T)
            covariance = small @ small.T / moments.n
        else:
            covariance = moments.covariance("xx")
        # So that a unit that is dead in the receiver counts where a stitch revives it, and rounding
        # does not; a receiver that does not vary at all leaves plain distances.
        added = torch.where(added > 0, added, 1.0)
        unit = torch.eye(len(covariance)).to(covariance)
        root = torch.linalg.cholesky(covariance + added * unit)
        return Reference(moments.mean("x"), root, basis, added, floor, moments.n)


class Share:
    """Shares of examples outside; one score per example and representation is all that is kept."""

    def __init__(self, reference: Reference, percentile: float = 95.0) -> None:
        if not 0 < percentile < 100:
            raise UserError(f"a percentile lies between 0 and 100, got {percentile}")
        self.reference, self.percentile = reference, percentile
        self._scores: dict[str, list[Tensor]] = defaultdict(list)
        self._numbers: dict[str, list[Tensor]] = defaultdict(list)

    def update(self, name: str, z: Tensor, numbers: Tensor | None = None) -> None:
        """Add a batch of one representation; "receiver" is that of the receiver itself.

        `numbers` are those of the examples; they count on from the last batch if absent.
        """
        known = self._numbers[name]
        if numbers is None:
            first = sum(map(len, known))
            numbers = torch.arange(first, first + len(z))
        known.append(numbers)
        self._scores[name].append(self.reference.score(z))

    def scores(self) -> dict[str, float]:
        """Of every representation, by `<what>/<name>`: "outside" and "how_far"."""
        shares = {f"outside/{name}": share for name, share in self.shares().items()}
        return shares | {f"how_far/{name}": far for name, far in self.distances().items()}

    def distances(self) -> dict[str, float]:
        """Median distance of every representation over that of the receiver's own.

        The distance of an example is the root of its score. The receiver's own median is that of
        one half of the examples, all others of the other half, so that its own ratio is about 1.
        Nothing bounds it from above: of two stitches that are outside for every example it tells
        which is further. NaN among the scores counts as infinitely far.
        """
        halves = self._in_halves()
        own = halves["receiver"][0].median().sqrt()
        return {
            name: float(others.nan_to_num(math.inf).median().sqrt() / own)
            for name, (_, others) in halves.items()
        }

    def shares(self) -> dict[str, float]:
        """Share outside of every representation, the receiver's own among them.

        Its scores on one half of the examples set the threshold, and all shares are of the other
        half; the receiver's own, about 5 % for the 95th percentile, tells how exact they are.
        """
        halves = self._in_halves()
        known = halves["receiver"][0]
        rank = min(len(known), math.ceil(self.percentile / 100 * (len(known) + 1)))
        threshold = known.kthvalue(rank).values
        # A score that is NaN is outside, too.
        return {
            name: 1 - float((others <= threshold).double().mean())
            for name, (_, others) in halves.items()
        }

    def _in_halves(self) -> dict[str, list[Tensor]]:
        return {
            name: [torch.cat(parts)[half.to(parts[0].device)] for half in self._halves(name)]
            for name, parts in self._scores.items()
        }

    def _halves(self, name: str) -> tuple[Tensor, Tensor]:
        sets = parts_of(torch.cat(self._numbers[name]), 2, _SEED) == 0
        return sets, ~sets
