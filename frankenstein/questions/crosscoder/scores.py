"""Whose is each feature of a dictionary of two networks, and is it missing where it seems so?"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.dictionaries import Dictionary
from frankenstein.errors import UserError
from frankenstein.shapes import per_location

_EXCLUSIVE, _SHARED = 0.1, (0.4, 0.6)  # of `share`
_PRESENT = 0.2, 0.5  # scalings of the error and of the reconstruction from which it is there


@dataclass(frozen=True)
class CrosscoderScores:
    """Numbers of F features of two networks, called 0 and 1."""

    explained: tuple[float, float]  # share of each network's variance that is rebuilt
    active: Tensor  # (F,) share of rows where a feature is active
    share: Tensor  # (F,) length of 1's direction over that of both; 0: of network 0 alone
    # (F, 2) latent scaling of the network in which the direction is the shorter, over the other's:
    # of what is not rebuilt, and of what is. 0: nothing of the feature is there; 1: as much.
    scaling: Tensor

    @property
    def live(self) -> Tensor:  # (F,) bool
        """Features that are active somewhere."""
        return self.active > 0

    def exclusive(self, network: int) -> Tensor:  # (F,) bool
        """Live features whose direction in the other network is under a tenth of both."""
        share = 1 - self.share if network else self.share
        return self.live & (share < _EXCLUSIVE)

    def exclusive_in_truth(self, network: int) -> Tensor:  # (F,) bool
        """Those of them that the other network has neither in its error nor by other features."""
        absent = (self.scaling < self.scaling.new_tensor(_PRESENT)).all(1)
        return self.exclusive(network) & absent

    @property
    def shared(self) -> Tensor:  # (F,) bool
        """Live features whose two directions are about as long."""
        return self.live & (self.share > _SHARED[0]) & (self.share < _SHARED[1])


@torch.no_grad()
def score_crosscoder(
    dictionary: Dictionary,  # of D + E units: the first network's, then the second's
    batches: Iterable[Tensor],  # (N, D + E, ...) each
    units: int,  # D
) -> CrosscoderScores:
    """Whose each feature is, with latent scaling against directions that sparsity made vanish.

    An L1 penalty makes a feature that one network has weakly look as if it had none of it, or
    splits a feature of both in two. So it is asked what the feature's strength f predicts of y,
    once of the network's error without this feature and once of its
    reconstruction: the scale β of least squares of y by f times a direction, both less their means,
    with which a strength that is never negative would go. Where networks have one space that is the
    feature's direction. Two that were trained apart have not, so it is the direction along which f
    predicts y of every second example, and β is that of the others, the mean of both ways; chance
    then gives 0. The scaling is β of the network with the shorter direction over the other's.

    Source: Minder et al. 2025, https://arxiv.org/abs/2504.02922; Lindsey et al. 2024,
    https://transformer-circuits.pub/2024/crosscoders, for the share of lengths.

    Raises:
        UserError: if there are fewer than two examples.
    """
    directions = dictionary.decoder.double()
    parts = directions[:units], directions[units:]
    lengths = torch.stack([part.norm(dim=0) for part in parts])  # (2, F)
    features = dictionary.features
    # By half: of f, of its square; and of the error and the reconstruction, y, and of f times y.
    rows_of, sums, squares = (
        lengths.new_zeros(2, *shape) for shape in ((1,), (features,), (features,))
    )
    means = lengths.new_zeros(2, 2, 1, len(directions))
    products = lengths.new_zeros(2, 2, features, len(directions))
    counts, n, seen = torch.zeros_like(lengths[0]), 0, 0
    first = second = missed = lengths.new_zeros(len(directions))
    for z in batches:
        strength = per_location(dictionary.encode(z)).double()
        x = ((per_location(z) - dictionary.mean) / dictionary.scale).double()
        rebuilt = strength @ directions.T
        error = x - dictionary.decoder_bias.double() - rebuilt
        n += len(x)
        counts += (strength > 0).sum(0)
        first, second = first + x.sum(0), second + x.square().sum(0)
        missed = missed + error.square().sum(0)
        number = torch.arange(seen, seen + len(z), device=z.device)
        odd = (number % 2).repeat_interleave(len(x) // len(z)).bool()
        seen += len(z)
        for half, rows in enumerate((~odd, odd)):
            f = strength[rows]
            rows_of[half] += len(f)
            sums[half] += f.sum(0)
            squares[half] += f.square().sum(0)
            for kind, y in enumerate((error[rows], rebuilt[rows])):
                means[half, kind] += y.sum(0)
                products[half, kind] += f.T @ y
    if seen < 2:
        raise UserError(f"latent scaling takes two examples or more, got {seen}")
    variance = second - first.square() / n
    columns = slice(None, units), slice(units, None)
    first_explained, second_explained = (
        float(1 - missed[one].sum() / variance[one].sum()) for one in columns
    )
    products -= sums[:, None, :, None] * means / rows_of[:, None, :, None]
    squares -= sums.square() / rows_of
    # Its own part belongs to the error: it is what the feature should explain.
    products[:, 0] += squares[:, :, None] * directions.T
    betas = torch.stack([_scale(products[..., one], squares) for one in columns])
    shorter = (lengths[1] < lengths[0]).long()  # which network has the shorter direction
    ours = betas.gather(0, shorter.expand(1, *betas.shape[1:]))[0]
    theirs = betas.gather(0, (1 - shorter).expand(1, *betas.shape[1:]))[0]
    scaling = torch.where(theirs > 0, ours / theirs, torch.nan).T
    share = lengths[1] / lengths.sum(0)
    return CrosscoderScores((first_explained, second_explained), counts / n, share, scaling)


def _scale(
    products: Tensor,  # (2, 2, F, D): by half and kind
    squares: Tensor,  # (2, F): by half
) -> Tensor:  # (2, F): by kind
    """β along the direction that the other half of the rows finds, mean over halves."""
    along = torch.nn.functional.normalize(products, dim=-1)
    crossed = (along.flip(0) * products).sum(-1) / squares[:, None]
    return crossed.mean(0)
