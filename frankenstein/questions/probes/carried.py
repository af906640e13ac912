"""What a probe of one network reads in another: its representation is brought to the first's."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.questions.probes.readout import read_elsewhere
from frankenstein.shapes import same_examples
from frankenstein.stitches import Affine, Orthogonal


class Carried(NamedTuple):
    """Held-out accuracies in [0, 1] of the sender's linear probe on the receiver, one a seed.

    Where the two have other numbers of units there are no `rotated` and `raw`: they are empty.
    """

    reverse: list[float]  # by least squares from the receiver's units to the sender's
    rotated: list[float]  # by the rotation and shift of least squared error
    inverted: list[float]  # by the pseudo-inverse of least squares the other way round
    raw: list[float]  # units as they are


@torch.no_grad()
def carry_probe(
    sender: tuple[Tensor, Tensor],  # (N, D) and (M, D): training and held-out examples
    receiver: tuple[Tensor, Tensor],  # (N, E) and (M, E), of the same examples
    labels: tuple[Tensor, Tensor],  # (N,) and (M,), as of `probe_layers`
    seeds: Sequence[int] = (0, 1, 2),
) -> Carried:
    """How well probes that learned of the sender read the receiver, brought to it in four ways.

    Maps are solved on training examples, without labels. The reverse map is the one to take: it is
    solved for what it is used for. Least squares from sender to receiver shrinks what it cannot
    know, and its inverse blows that up again; it stands here to show how much.

    Source: that features can be moved by stitches, Chen et al. 2025,
    https://arxiv.org/abs/2506.06609.

    Raises:
        ShapeError: if there are not as many examples of all.
    """
    same_examples(sender[0], receiver[0])
    same_examples(sender[1], receiver[1])
    d, e = sender[0].shape[1], receiver[0].shape[1]
    back = Moments().update(receiver[0], sender[0])
    z = receiver[1].double()
    reverse = Affine(e, d).to(z).solve(back)
    there = Moments().update(sender[0], receiver[0])
    forward, shift = Affine(d, e).to(z).solve(there).affine_map()
    inverse = torch.linalg.pinv(forward)
    brought = {"reverse": reverse(z), "inverted": (z - shift) @ inverse.T}
    if d == e:
        brought |= {"rotated": Orthogonal(e, d).solve(back).to(z)(z), "raw": z}
    read = read_elsewhere(sender[0], labels[0], [*brought.values()], labels[1], seeds)
    none: dict[str, list[float]] = {name: [] for name in Carried._fields}
    return Carried(**{**none, **dict(zip(brought, read, strict=True))})
