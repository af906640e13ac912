"""Which feature of one network is which of another: those that are active on the same inputs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.moments import Moments
from frankenstein.data.seeded import seeded
from frankenstein.errors import UserError
from frankenstein.measures import correlation_matrix
from frankenstein.shapes import pooled, same_examples

_SHUFFLE = 9  # keeps these draws apart from those of other purposes


@dataclass(frozen=True)
class Matching:
    """Pairs of columns one to one, and how alike the columns of each pair are."""

    pairs: Tensor  # (P, 2) columns of x and of y, the most alike first; of equals as in x
    correlations: Tensor  # (P,) in [-1, 1]
    shuffled: Tensor  # (S, P) the same of S shuffles, when examples do not belong together

    @property
    def mean(self) -> float:
        """Mean correlation of the pairs."""
        return float(self.correlations.mean())

    @property
    def mean_shuffled(self) -> float:
        """Mean correlation of the pairs that chance alone makes."""
        return float(self.shuffled.mean())


def match_features(
    x: Tensor,  # (N, D)
    y: Tensor,  # (N, E), of the same examples
    shuffles: int = 5,
    seed: int = 0,
) -> Matching:
    """The one-to-one pairs of columns of largest total correlation.

    The best of many pairs would correlate somewhat by chance: the control matches x in the same
    way to y with its rows shuffled, several times. Columns that are constant, such as dead
    features, match nothing and are left out on both sides.

    Source: Li et al. 2016, https://arxiv.org/abs/1511.07543; solved by scipy.

    Raises:
        ShapeError: if x and y hold different numbers of examples.
        UserError: if all columns of a side are constant.
    """
    same_examples(x, y)
    live = [(z != z[:1]).any(0).nonzero().squeeze(1) for z in (x, y)]
    if not all(map(len, live)):
        raise UserError("there is nothing to match: every feature of one side is constant")
    x, y = x[:, live[0]], y[:, live[1]]
    rows, columns, values = _assigned(x, y)
    order = values.round(decimals=9).argsort(descending=True, stable=True)
    pairs = torch.stack([live[0].cpu()[rows], live[1].cpu()[columns]], 1)
    draws = seeded(seed, _SHUFFLE)
    shuffled = [
        _assigned(x, y[torch.randperm(len(y), generator=draws).to(y.device)])[2]
        for _ in range(shuffles)
    ]
    return Matching(
        pairs[order], values[order], torch.stack(shuffled).sort(1, descending=True).values
    )


@torch.no_grad()
def pooled_strengths(
    reads: Sequence[Callable[[Tensor], Tensor]],  # images to features, as of `Dictionary.encode`
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> list[Tensor]:  # (N, F) each
    """How active features are on each example, on average over places: what is matched.

    Holds N rows, so give a bounded choice of examples: `data.val_batches(4096)`.
    """
    strengths: list[list[Tensor]] = [[] for _ in reads]
    for images, _ in batches:
        images = images.to(device)
        for rows, read in zip(strengths, reads, strict=True):
            rows.append(pooled(read(images)))
    return [torch.cat(rows) for rows in strengths]


def _assigned(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns of the assignment, and their correlations, on the CPU."""
    # Units that vary by rounding only have no correlation: 0, as with permutation stitches.
    values = correlation_matrix(Moments().update(x, y)).nan_to_num(0).cpu()
    rows, columns = assignment(values)
    return rows, columns, values[rows, columns]
