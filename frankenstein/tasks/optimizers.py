"""Optimizers and the learning rate's course, as in Dr. Frankenstein."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR

from frankenstein.errors import UserError

OPTIMIZERS = ("sgd", "adam")


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float
) -> Optimizer:
    """SGD with Nesterov momentum 0.9, or Adam.

    Raises:
        UserError: for any other name.
    """
    if name == "sgd":
        return SGD(parameters, lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    if name == "adam":
        return Adam(parameters, lr, weight_decay=weight_decay)
    raise UserError(f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}")


def stage_at(task: Any, epoch: int) -> int:
    """Which of a task's `stages` an epoch belongs to; they share the epochs equally."""
    count = len(task.stages)
    if count == 1:
        return 0
    return min(epoch * count // (task.trainer.max_epochs or 1), count - 1)


def two_cuts(optimizer: Optimizer, epochs: int, stages: int = 1) -> LRScheduler:
    """The learning rate, cut by 10 at one third and again at two thirds of the epochs.

    Of several stages, which share the epochs equally, each begins at the whole rate.

    Raises:
        UserError: if the end is open (Lightning says -1), so that there is no third of it.
    """
    if epochs < 1:
        raise UserError(
            f"the learning rate is cut at one third and two thirds of the epochs, got {epochs} "
            "epochs; give the Trainer max_epochs"
        )
    each = epochs // stages
    cuts = [math.ceil(each / 3), math.ceil(2 * each / 3)]
    if stages == 1:
        return MultiStepLR(optimizer, cuts, gamma=0.1)
    return LambdaLR(optimizer, lambda epoch: 0.1 ** sum(epoch % each >= cut for cut in cuts))
