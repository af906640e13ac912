"""A dictionary of one layer of one network, trained on the images of a subject."""

import copy
from typing import NamedTuple

import torch
from torch import nn

from frankenstein.callbacks import TrainingBar
from frankenstein.dictionaries import Dictionary
from frankenstein.networks.network import Network
from frankenstein.questions.dictionaries.options import DictionaryOptions
from frankenstein.questions.subject import Subject
from frankenstein.surgery import Cut
from frankenstein.tasks import DataModule, SparseAutoencoder
from frankenstein.training.trainer import bare_trainer, quiet_lightning

_EPOCHS = 6  # that the steps are parted in: the learning rate falls, dead features are resampled
_BATCH = 64  # images a step: enough places, and a small part of the time of a larger batch
_PER_UNIT = 4  # features


class Fitted(NamedTuple):
    """A dictionary and the halves of the network that it stands between."""

    halves: Cut
    dictionary: Dictionary

    @property
    def features(self) -> nn.Module:
        """Images to features."""
        return _Features(*self)

    def random(self, seed: int) -> "Fitted":
        """What the dictionary started from: random directions, at the same mean and scale."""
        start = Dictionary(**self.dictionary.options, seed=seed).to(self.dictionary.mean.device)
        start.mean, start.scale = self.dictionary.mean, self.dictionary.scale
        return self._replace(dictionary=start)


def fit_dictionary(
    subject: Subject,
    network: Network,
    layer: str,
    units: int,
    options: DictionaryOptions,
    seed: int,
) -> Fitted:
    """Train a dictionary on batches of the subject's training images."""
    features = options.features or _PER_UNIT * units
    k = None if options.l1 is not None else min(options.k, features)
    dictionary = Dictionary(units, features, k, seed)
    penalty = options.l1 or 0.0
    task = SparseAutoencoder(network.module, layer, dictionary, penalty=penalty, seed=seed)
    data = copy.copy(subject.data)  # the images are shared
    data.batch_size, data.order_seed = min(_BATCH, len(data.train_labels)), seed
    each = min(-(-options.steps // _EPOCHS), len(data.shuffled_batches()))
    with quiet_lightning():
        trainer = bare_trainer(
            subject.device,
            max_epochs=_EPOCHS,
            limit_train_batches=each,
            callbacks=[] if subject.quiet else [TrainingBar(f"dictionary of {layer}")],
        )
        trainer.fit(task, DataModule(data))
    task.to(subject.device)  # the Trainer leaves it on the CPU
    return Fitted(task.halves, dictionary.requires_grad_(False).eval())


class _Features(nn.Module):
    def __init__(self, halves: Cut, dictionary: Dictionary) -> None:
        super().__init__()
        self.front, self.dictionary = halves.front, dictionary

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dictionary.encode(self.front(images))
