"""Which sparse features make up a layer, and are they the same in both networks?"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.callbacks import TrainingBar
from frankenstein.dictionaries import Dictionary
from frankenstein.networks.network import Network
from frankenstein.questions.dictionaries.answer import AutoencoderAnswer, FittedDictionary
from frankenstein.questions.dictionaries.matching import Matching, match_features, pooled_strengths
from frankenstein.questions.dictionaries.page import autoencoder_section
from frankenstein.questions.dictionaries.scores import DictionaryScores, evaluate_dictionary
from frankenstein.questions.question import Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.table import DictionaryOptions
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.surgery import Cut
from frankenstein.tasks import DataModule, SparseAutoencoder
from frankenstein.training.trainer import bare_trainer, quiet_lightning

_ROWS, _IMAGES = 8, 6  # pairs of features whose images are kept, and images of each
_BLANK = 225  # grey, where a feature is active on fewer images
_EPOCHS = 6  # that the steps are parted in: the learning rate falls, dead features are resampled
_BATCH = 64  # images a step: enough places, and a small part of the time of a larger batch
_PER_UNIT = 4  # features
_TWINS = 3  # untrained receivers at most: with five a run would take nearly twice as long


class Fitted(NamedTuple):
    """A dictionary and the halves of the network that it stands between."""

    halves: Cut
    dictionary: Dictionary

    def features(self, images: Tensor) -> Tensor:
        """How active features are on images."""
        return self.dictionary.encode(self.halves.front(images))

    def random(self, seed: int) -> "Fitted":
        """What the dictionary started from: random directions, at the same mean and scale."""
        start = Dictionary(**self.dictionary.options, seed=seed).to(self.dictionary.mean.device)
        start.mean, start.scale = self.dictionary.mean, self.dictionary.scale
        return self._replace(dictionary=start)


@dataclass(frozen=True, kw_only=True)
class Autoencoder(DictionaryOptions, Question[AutoencoderAnswer]):
    """Which sparse features make up a layer, and are they the same in both networks?"""

    title = "Sparse autoencoders"
    needs = frozenset({"layers", "inputs", "labels", "training"})

    def ask(self, subject: Subject) -> AutoencoderAnswer:
        """Dictionaries of the middle pair of layers, scored, and matched beside their controls."""
        pair = subject.pairs[len(subject.pairs) // 2]
        seeds = subject.seed, subject.seed + 1
        sides = subject.sender, subject.receiver
        first, again = [], []
        for network in sides:
            units = subject.rows("val", network, pair).shape[1]
            first.append(_fitted(subject, network, pair, units, self, seeds[0]))
            again.append(_fitted(subject, network, pair, units, self, seeds[1]))
        untrained = [
            _fitted(subject, twin, pair, units, self, seeds[0])
            for _, twin in subject.untrained[:_TWINS]
        ]
        scores = [
            _scored(subject, one, network.role) for one, network in zip(first, sides, strict=True)
        ]
        random = [_scored(subject, one.random(seeds[0]), "random") for one in first]
        matchings, controls = _matchings(subject, pair, first, again, untrained)
        best = matchings["networks"].pairs[:_ROWS]
        return AutoencoderAnswer(
            subject.label(pair),
            len(subject.val),
            self,
            {
                network.role: FittedDictionary(
                    subject.layer_of(network, pair), network.sha256, one.dictionary, *both
                )
                for network, one, *both in zip(sides, first, scores, random, strict=True)
            },
            matchings,
            controls,
            {
                network.role: _pictures(subject, one, best[:, side])
                for side, (network, one) in enumerate(zip(sides, scores, strict=True))
                if subject.data.pictured
            },
        )

    def show(self, answer: AutoencoderAnswer) -> Section:
        """Reconstruction, matching, and images of the best matched features; both are saved."""
        return autoencoder_section(self.title, answer)


def _scored(subject: Subject, one: Fitted, name: str) -> DictionaryScores:
    batches = progress(subject.batches("val"), f"scoring {name}", subject.quiet)
    return evaluate_dictionary(*one, batches, subject.device)


def _matchings(
    subject: Subject,
    pair: Pair,
    first: list[Fitted],
    again: list[Fitted],
    untrained: list[Fitted],
) -> tuple[Mapping[str, Matching], list[Matching]]:
    """The two networks' features, and what they are held against; and those of untrained ones."""
    batches = progress(subject.batches("val"), "matching features", subject.quiet)
    one, other, one_again, other_again, *random = pooled_strengths(
        [fitted.features for fitted in (*first, *again, *untrained)], batches, subject.device
    )
    x, y = (subject.rows("val", one, pair) for one in (subject.sender, subject.receiver))
    match = partial(match_features, seed=subject.seed)
    return {
        "networks": match(one, other),
        "two_seeds_sender": match(one, one_again),
        "two_seeds_receiver": match(other, other_again),
        "units": match(x, y),
    }, [match(one, features) for features in random]


def _pictures(
    subject: Subject, scores: DictionaryScores, features: Tensor
) -> Tensor:  # (R, K, C, H, W), uint8
    """The images on which features are most active."""
    examples = scores.top_examples.cpu()[features, :_IMAGES]
    active = scores.top_strengths.cpu()[features, :_IMAGES] > 0
    taken = subject.pictures("val", examples.flatten())
    assert taken is not None
    images = taken.unflatten(0, examples.shape)
    return torch.where(active[:, :, None, None, None], images, torch.tensor(_BLANK).to(images))


def _fitted(
    subject: Subject,
    network: Network,
    pair: Pair,
    units: int,
    options: DictionaryOptions,
    seed: int,
) -> Fitted:
    """Train a dictionary on batches of the subject's training images."""
    layer, features = subject.layer_of(network, pair), options.features or _PER_UNIT * units
    k = None if options.l1 is not None else min(options.k, features)
    dictionary = Dictionary(units, features, k, seed)
    penalty = options.l1 or 0.0
    look = subject.look(network)
    task = SparseAutoencoder(
        network.module, layer, dictionary, penalty=penalty, seed=seed, look=look
    )
    data = copy.copy(subject.data)  # the images are shared
    data.batch_size, data.order_seed = min(_BATCH, data.num_train), seed
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
