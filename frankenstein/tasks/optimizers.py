"""Optimizers and the learning rate's course, as in Dr. Frankenstein."""

import math
from collections.abc import Iterable

from torch import nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

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


def two_cuts(optimizer: Optimizer, epochs: int) -> LRScheduler:
    """The learning rate, cut by 10 at one third and again at two thirds of the epochs.

    Raises:
        UserError: if the end is open (Lightning says -1), so that there is no third of it.
    """
    if epochs < 1:
        raise UserError(
            f"the learning rate is cut at one third and two thirds of the epochs, got {epochs} "
            "epochs; give the Trainer max_epochs"
        )
    return MultiStepLR(optimizer, [math.ceil(epochs / 3), math.ceil(2 * epochs / 3)], gamma=0.1)
