"""What a stitch is trained for: functions of a pass to a loss."""

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional

from frankenstein.labels import label_loss
from frankenstein.measures import linear_cka
from frankenstein.tasks.passes import Pass

Objective = Callable[[Pass], Tensor]


def task_loss(batch: Pass) -> Tensor:
    """Cross entropy of the grafted network's logits to the labels, one or several per image.

    Source: task loss matching, Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.
    """
    return label_loss(batch.logits, batch.labels)


def direct_mse(batch: Pass) -> Tensor:
    """Mean squared error of stitched to target, per number: direct matching by gradient."""
    return functional.mse_loss(batch.stitched, batch.target)


def direct_cka(batch: Pass) -> Tensor:
    """1 minus the linear CKA of stitched with target in the batch."""
    return 1 - linear_cka(batch.stitched, batch.target)


def cka_regularized(objective: Objective, weight: float) -> Objective:
    """An objective plus weight times the linear CKA of stitched with target in the batch.

    Signed: a negative weight rewards likeness, a positive one punishes it. Rows are places of
    examples; the gradient is exact for the batch.

    Source: Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633.
    """

    def regularized(batch: Pass) -> Tensor:
        return objective(batch) + weight * linear_cka(batch.stitched, batch.target)

    return regularized
