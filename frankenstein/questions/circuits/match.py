"""Circuits of any number of networks matched with one another, by what they do over the inputs."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.linear import first_best
from frankenstein.errors import UserError

_SHUFFLES = 19


class Families(NamedTuple):
    """Which groups of several networks do the same; one row for every group of the reference."""

    reference: int  # the network whose groups the others' are matched with
    members: Tensor  # (F, M) int64: number of the group in each network; -1 where there is none
    similarity: Tensor  # (F, M) with the reference's group; NaN where there is none
    null: float  # the largest similarity of groups over shuffled inputs; a match is above it


def profiles(
    z: Tensor,  # (N, C), one row per input
    groups: Sequence[Tensor],
) -> Tensor:  # (G, N) float64
    """What each group does over the inputs: the mean of its units' standardized activations.

    A unit that does not vary over these inputs adds 0.
    """
    z = z.double()
    std, mean = torch.std_mean(z, 0, correction=0)
    scores = torch.where(std > 1e-12 * mean.abs(), (z - mean) / std, 0)
    if not groups:
        return scores.new_zeros(0, len(z))
    return torch.stack([scores[:, group].mean(1) for group in groups])


def profile_similarity(one: Tensor, other: Tensor) -> Tensor:  # (G, N), (H, N) -> (G, H)
    """Pearson correlation over inputs of every group with every other; 0 if one does not vary."""
    rows = [p - p.mean(1, keepdim=True) for p in (one, other)]
    unit = [torch.nn.functional.normalize(p, dim=1) for p in rows]
    return (unit[0] @ unit[1].T).clamp(-1, 1)


def match_circuits(
    found: Sequence[Tensor],  # of every network its groups' profiles, (G, N), over the same inputs
    reference: int | None = None,
    seed: int = 0,
) -> Families:
    """One-to-one matches of every network's groups with those of a reference network.

    Each is the assignment of largest total similarity of profiles. Matching all with one network
    makes families that agree with each other, whatever the number of networks; unless it is given
    the reference is the network whose matches with all others sum up to the most. A match counts if
    its similarity is above the largest there is between any two groups over shuffled inputs.

    Raises:
        UserError: if there are fewer than two networks.
    """
    if len(found) < 2:
        raise UserError(f"circuits are matched between two networks or more, got {len(found)}")
    pairs = {
        (i, j): profile_similarity(found[i], found[j])
        for i, j in permutations(range(len(found)), 2)
    }
    if reference is None:
        totals = [
            sum(float(_matched(s)[1].sum()) for (i, _), s in pairs.items() if i == k)
            for k in range(len(found))
        ]
        # Of two networks both have the same total, but for rounding: then it is the first.
        reference = int(first_best(torch.tensor([totals], dtype=torch.float64)))
    null = _null(found[reference], [p for i, p in enumerate(found) if i != reference], seed)
    families = len(found[reference])
    members = torch.full((families, len(found)), -1)
    similarity = torch.full((families, len(found)), torch.nan, dtype=torch.float64)
    members[:, reference], similarity[:, reference] = torch.arange(families), 1.0
    for other in range(len(found)):
        if other != reference:
            partner, value = _matched(pairs[reference, other].cpu())
            known = (partner >= 0) & (value > null)
            members[:, other] = torch.where(known, partner, -1)
            similarity[:, other] = torch.where(known, value, torch.nan)
    return Families(reference, members, similarity, null)


def _matched(similarity: Tensor) -> tuple[Tensor, Tensor]:  # (G, H) -> (G,) int64, (G,)
    """For every row its column and their similarity; -1 and 0 for the rows that get none."""
    rows, columns = similarity.shape
    # Rows or columns of nothing make it square; they have to be worse than any match.
    square = similarity.new_full((max(rows, columns),) * 2, -2.0)
    square[:rows, :columns] = similarity
    partner = assignment(square)[1][:rows].to(similarity.device)
    known = partner < columns
    value = square[torch.arange(rows), partner]
    return torch.where(known, partner, -1), torch.where(known, value, 0)


def _null(reference: Tensor, others: Sequence[Tensor], seed: int) -> float:
    """The largest similarity of the reference's groups to others' whose inputs are shuffled."""
    generator = torch.Generator().manual_seed(seed)
    largest = [reference.new_tensor(-1.0)]
    for other in others:
        for _ in range(_SHUFFLES):
            order = torch.randperm(other.shape[1], generator=generator).to(other.device)
            similarity = profile_similarity(reference, other[:, order])
            largest += [similarity.max()] if similarity.numel() else []
    return float(torch.stack(largest).max())
