"""What one network's probes and directions read in another, brought to the first's units."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.questions.probes.readout import read_elsewhere
from frankenstein.shapes import same_examples
from frankenstein.stitches import Affine, Orthogonal

Parts = tuple[Tensor, Tensor]  # training and held-out examples


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
    sender: Parts,  # (N, D) and (M, D)
    receiver: Parts,  # (N, E) and (M, E), of the same examples
    labels: Parts,  # (N,) and (M,), as of `probe_layers`
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
    brought = _brought(sender, receiver)
    read = read_elsewhere(sender[0], labels[0], [*brought.values()], labels[1], seeds)
    none: dict[str, list[float]] = {name: [] for name in Carried._fields}
    return Carried(**{**none, **dict(zip(brought, read, strict=True))})


@torch.no_grad()
def carry_directions(
    sender: Parts,  # as of `carry_probe`
    receiver: Parts,
    labels: Parts,
) -> dict[str, float]:
    """How well the sender's class directions tell a class on the receiver, in the same four ways.

    A direction is the mean of a class less the mean of all others, of training examples. Its score
    is the chance that a held-out example of the class lies further along it than one of the others
    (the area under its ROC curve; 0.5 knows nothing), on average over classes. "own" is that of
    the receiver's own directions.

    Raises:
        ShapeError: if there are not as many examples of all.
    """
    brought = {"own": receiver[1].double(), **_brought(sender, receiver)}
    train, held_out = map(_one_hot, labels)
    told = [
        c
        for c in range(min(train.shape[1], held_out.shape[1]))
        if all(0 < int(one[:, c].sum()) < len(one) for one in (train, held_out))
    ]
    scores = {}
    for way, z in brought.items():
        of = (receiver if way == "own" else sender)[0].double()
        along = {c: z @ (of[train[:, c]].mean(0) - of[~train[:, c]].mean(0)) for c in told}
        areas = [roc_auc_score(held_out[:, c].cpu(), rows.cpu()) for c, rows in along.items()]
        scores[way] = fmean(areas) if areas else float("nan")
    return scores


def _brought(sender: Parts, receiver: Parts) -> Mapping[str, Tensor]:  # (M, D) float64 each
    """The receiver's held-out examples in the sender's units, by the name of the way."""
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
    return brought


def _one_hot(labels: Tensor) -> Tensor:  # (N, classes) bool
    if labels.ndim == 2:
        return labels > 0
    return torch.nn.functional.one_hot(labels.long()).bool()
