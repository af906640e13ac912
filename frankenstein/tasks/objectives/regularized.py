"""Any objective with likeness at the cut rewarded or punished beside it."""

from torch import Tensor

from frankenstein.measures import linear_cka
from frankenstein.tasks.objectives.passes import Objective, Pass


def cka_regularized(objective: Objective, weight: float) -> Objective:
    """An objective plus weight times the linear CKA of stitched with target in the batch.

    Signed: a negative weight rewards likeness, a positive one punishes it. Rows are places of
    examples; the gradient is exact for the batch.

    Source: Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.
    """

    def regularized(batch: Pass) -> Tensor:
        return objective(batch) + weight * linear_cka(batch.stitched, batch.target)

    return regularized
