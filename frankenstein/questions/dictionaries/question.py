"""Sparse autoencoders of one layer of both networks: what they keep, and do they find the same?"""

import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from torch import nn

from frankenstein.callbacks import TrainingBar
from frankenstein.dictionaries import Dictionary, save_dictionary
from frankenstein.questions.dictionaries.matching import Matching, match_features, pooled_strengths
from frankenstein.questions.dictionaries.options import DictionaryOptions
from frankenstein.questions.dictionaries.page import Answers, autoencoder_section
from frankenstein.questions.dictionaries.scores import DictionaryScores, evaluate_dictionary
from frankenstein.questions.question import Need, Question
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.surgery import Cut
from frankenstein.tasks import DataModule, SparseAutoencoder
from frankenstein.training.trainer import bare_trainer, quiet_lightning
from frankenstein.zoo import network_sha256

_EPOCHS = 6  # that the steps are parted in: the learning rate falls, dead features are resampled
_BATCH = 64  # images a step: enough places, and a small part of the time of a larger batch
_PER_UNIT = 4  # features
_SIDES = ("sender", "receiver")


class Fitted(NamedTuple):
    """A dictionary and the halves of the network that it stands between."""

    halves: Cut
    dictionary: Dictionary

    @property
    def features(self) -> nn.Module:
        """Images to features."""
        return _Features(*self)


def section(study: Study) -> Section:
    """Dictionaries of the middle pair of layers, scored, and matched beside their controls."""
    pair = study.pairs[len(study.pairs) // 2]
    seeds = study.seed, study.seed + 1
    layers = dict(zip(_SIDES, pair, strict=True))
    fitted = {
        (side, seed): _fitted(study, study.trained[side], layers[side], seed)
        for side in _SIDES
        for seed in seeds
    }
    untrained = _fitted(study, study.untrained["untrained_receiver"], pair[1], seeds[0])
    first = {side: fitted[side, seeds[0]] for side in _SIDES}
    again = {side: fitted[side, seeds[1]] for side in _SIDES}
    scores = {side: _scored(study, one, side) for side, one in first.items()}
    random = {
        side: _scored(study, Fitted(one.halves, _start(one.dictionary, seeds[0])), "random")
        for side, one in first.items()
    }
    saves = {
        f"dictionary-{side}.safetensors": partial(
            save_dictionary,
            dictionary=one.dictionary,
            facts={"network": network_sha256(study.trained[side]), "layer": layers[side]},
        )
        for side, one in first.items()
    }
    matchings = _matchings(study, pair, first, again, untrained)
    return autoencoder_section(study, Answers(pair, scores, random, matchings), saves)


def _fitted(study: Study, network: nn.Module, layer: str, seed: int) -> Fitted:
    """A dictionary trained on batches of the study's own data module."""
    options = study.options
    units = study.val.of["sender" if network is study.sender else "receiver"][layer].shape[1]
    features = options["features"] or _PER_UNIT * units
    k = None if options["l1"] is not None else min(options["k"], features)
    dictionary = Dictionary(units, features, k, seed)
    task = SparseAutoencoder(network, layer, dictionary, penalty=options["l1"] or 0.0, seed=seed)
    data = copy.copy(study.data)  # the images are shared
    data.batch_size, data.order_seed = min(_BATCH, len(data.train_labels)), seed
    each = min(-(-options["steps"] // _EPOCHS), len(data.shuffled_batches()))
    with quiet_lightning():
        trainer = bare_trainer(
            study.device,
            max_epochs=_EPOCHS,
            limit_train_batches=each,
            callbacks=[] if study.quiet else [TrainingBar(f"dictionary of {layer}")],
        )
        trainer.fit(task, DataModule(data))
    task.to(study.device)  # the Trainer leaves it on the CPU
    return Fitted(task.halves, dictionary.requires_grad_(False).eval())


def _start(dictionary: Dictionary, seed: int) -> Dictionary:
    """What a dictionary started from: random directions, at the same mean and scale."""
    start = Dictionary(**dictionary.options, seed=seed).to(dictionary.mean.device)
    start.mean, start.scale = dictionary.mean, dictionary.scale
    return start


def _scored(study: Study, one: Fitted, name: str) -> DictionaryScores:
    batches = progress(study.batches("val"), f"scoring {name}", study.quiet)
    return evaluate_dictionary(*one, batches, study.device)


def _matchings(
    study: Study,
    pair: tuple[str, str],
    first: dict[str, Fitted],
    again: dict[str, Fitted],
    untrained: Fitted,
) -> dict[str, Matching]:
    """The two networks' features, and what they are held against."""
    read = [*first.values(), *again.values(), untrained]
    batches = progress(study.batches("val"), "matching features", study.quiet)
    one, other, one_again, other_again, random = pooled_strengths(
        [fitted.features for fitted in read], batches, study.device
    )
    match: Any = partial(match_features, seed=study.seed)
    return {
        "networks": match(one, other),
        "two seeds, sender": match(one, one_again),
        "two seeds, receiver": match(other, other_again),
        "untrained receiver": match(one, random),
        "units": match(study.val.sender[pair[0]], study.val.receiver[pair[1]]),
    }


class _Features(nn.Module):
    def __init__(self, halves: Cut, dictionary: Dictionary) -> None:
        super().__init__()
        self.front, self.dictionary = halves.front, dictionary

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.dictionary.encode(self.front(images))


@dataclass(frozen=True, kw_only=True)
class Autoencoder(DictionaryOptions, Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Sparse autoencoders"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "labels", "training"})

    def ask(self, subject: Subject) -> Section:
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
