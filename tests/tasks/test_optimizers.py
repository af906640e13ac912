import math

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.tasks import Classifier
from frankenstein.tasks.optimizers import make_optimizer, two_cuts


class Rates(pl.Callback):
    """The learning rate in every epoch."""

    def __init__(self):
        self.seen = []

    def on_train_epoch_start(self, trainer, module):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


def test_sgd_has_nesterov_momentum():
    optimizer = make_optimizer("sgd", nn.Linear(2, 2).parameters(), lr=0.2, weight_decay=0.01)
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)
    assert (group["lr"], group["weight_decay"]) == (0.2, 0.01)


def test_adam_is_torchs():
    optimizer = make_optimizer("adam", nn.Linear(2, 2).parameters(), lr=0.2, weight_decay=0.01)
    assert isinstance(optimizer, torch.optim.Adam)
    assert optimizer.param_groups[0]["weight_decay"] == 0.01


def test_another_optimizer_is_refused():
    with pytest.raises(UserError, match="unknown optimizer 'rms'; known: sgd, adam"):
        make_optimizer("rms", [], lr=0.1, weight_decay=0)


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 20, 300])
def test_the_learning_rate_is_cut_at_one_third_and_two_thirds(epochs):
    optimizer = make_optimizer("sgd", nn.Linear(2, 2).parameters(), lr=1.0, weight_decay=0)
    scheduler = two_cuts(optimizer, epochs)
    seen = []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    cuts = math.ceil(epochs / 3), math.ceil(2 * epochs / 3)
    assert seen == pytest.approx([0.1 ** sum(e >= cut for cut in cuts) for e in range(epochs)])


def test_a_trainer_makes_the_cuts_between_epochs(small_network, spots, fit):
    rates = Rates()
    fit(Classifier(small_network(0).train(), lr=0.5), spots(), epochs=4, callbacks=[rates])
    assert rates.seen == pytest.approx([0.5, 0.5, 0.05, 0.005])


def test_a_training_without_an_end_has_no_thirds(small_network, spots, fit):
    with pytest.raises(UserError, match="got -1 epochs; give the Trainer max_epochs"):
        fit(Classifier(small_network(0).train()), spots(), epochs=-1, max_steps=2)
