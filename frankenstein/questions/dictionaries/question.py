"""Which sparse features make up a layer, and are they the same in both networks?"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from frankenstein.networks.network import Network
from frankenstein.questions.dictionaries.answer import AutoencoderAnswer, FittedDictionary
from frankenstein.questions.dictionaries.fit import Fitted, fit_dictionary
from frankenstein.questions.dictionaries.matching import Matching, match_features, pooled_strengths
from frankenstein.questions.dictionaries.options import DictionaryOptions
from frankenstein.questions.dictionaries.page import autoencoder_section
from frankenstein.questions.dictionaries.scores import DictionaryScores, evaluate_dictionary
from frankenstein.questions.question import Need, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.report import Section
from frankenstein.report.progress import progress

_ROWS, _IMAGES = 8, 6  # pairs of features whose images are kept, and images of each
_BLANK = 225  # grey, where a feature is active on fewer images


@dataclass(frozen=True, kw_only=True)
class Autoencoder(DictionaryOptions, Question[AutoencoderAnswer]):
    """Which sparse features make up a layer, and are they the same in both networks?"""

    title: ClassVar[str] = "Sparse autoencoders"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "labels", "training"})

    def ask(self, subject: Subject) -> AutoencoderAnswer:
        """Dictionaries of the middle pair of layers, scored, and matched beside their controls."""
        pair = subject.pairs[len(subject.pairs) // 2]
        seeds = subject.seed, subject.seed + 1
        sides = subject.sender, subject.receiver

        def fitted(network: Network, seed: int, units_of: Network) -> Fitted:
            units = subject.rows("val", units_of, pair).shape[1]
            layer = subject.layer_of(network, pair)
            return fit_dictionary(subject, network, layer, units, self, seed)

        first, again = [], []
        for network in sides:
            first.append(fitted(network, seeds[0], network))
            again.append(fitted(network, seeds[1], network))
        _, twin = subject.untrained
        untrained = fitted(twin, seeds[0], subject.receiver)
        scores = [
            _scored(subject, one, network.role) for one, network in zip(first, sides, strict=True)
        ]
        random = [_scored(subject, one.random(seeds[0]), "random") for one in first]
        matchings = _matchings(subject, pair, first, again, untrained)
        best = matchings["networks"].pairs[:_ROWS]
        return AutoencoderAnswer(
            subject.label(pair),
            len(subject.val),
            self.steps,
            None if self.l1 is not None else self.k,
            self.l1,
            {
                network.role: FittedDictionary(
                    subject.layer_of(network, pair), network.sha256, one.dictionary, *both
                )
                for network, one, *both in zip(sides, first, scores, random, strict=True)
            },
            matchings,
            {
                network.role: _pictures(subject, one, best[:, side])
                for side, (network, one) in enumerate(zip(sides, scores, strict=True))
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
    untrained: Fitted,
) -> Mapping[str, Matching]:
    """The two networks' features, and what they are held against."""
    batches = progress(subject.batches("val"), "matching features", subject.quiet)
    one, other, one_again, other_again, random = pooled_strengths(
        [fitted.features for fitted in (*first, *again, untrained)], batches, subject.device
    )
    x, y = (subject.rows("val", one, pair) for one in (subject.sender, subject.receiver))
    match = partial(match_features, seed=subject.seed)
    return {
        "networks": match(one, other),
        "two_seeds_sender": match(one, one_again),
        "two_seeds_receiver": match(other, other_again),
        "untrained_receiver": match(one, random),
        "units": match(x, y),
    }


def _pictures(
    subject: Subject, scores: DictionaryScores, features: Tensor
) -> Tensor:  # (R, K, C, H, W), uint8
    """The images on which features are most active."""
    examples = scores.top_examples.cpu()[features, :_IMAGES]
    active = scores.top_strengths.cpu()[features, :_IMAGES] > 0
    images = subject.pictures("val", examples.flatten()).unflatten(0, examples.shape)
    return torch.where(active[:, :, None, None, None], images, torch.tensor(_BLANK).to(images))
