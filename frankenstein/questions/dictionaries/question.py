"""Which sparse features make up a layer, and are they the same in both networks?"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.dictionaries import Dictionary, carry_dictionary
from frankenstein.errors import UserError
from frankenstein.networks.network import Network
from frankenstein.questions.dictionaries.answer import AutoencoderAnswer, FittedDictionary
from frankenstein.questions.dictionaries.matching import Matching, match_features, pooled_strengths
from frankenstein.questions.dictionaries.page import autoencoder_section
from frankenstein.questions.dictionaries.scores import DictionaryScores, evaluate_dictionary
from frankenstein.questions.dictionaries.training import new_dictionary, train_dictionary
from frankenstein.questions.question import NotAskable, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.table import DictionaryOptions
from frankenstein.report import Section
from frankenstein.report.progress import progress
from frankenstein.shapes import ShapeError, per_location
from frankenstein.surgery import Cut, join
from frankenstein.tasks import SparseAutoencoder

_ROWS, _IMAGES = 8, 6  # pairs of features whose images are kept, and images of each
_BLANK = 225  # grey, where a feature is active on fewer images
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
        carried = _carried(subject, pair, first, untrained[0], self, seeds[0])
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
            carried,
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


def _carried(
    subject: Subject,
    pair: Pair,
    first: list[Fitted],
    untrained: Fitted,
    options: DictionaryOptions,
    seed: int,
) -> Mapping[str, DictionaryScores]:
    """The sender's dictionary on the receiver: "carried", then "trained" from there; "raw".

    "untrained" is that of an untrained receiver, carried likewise. Nothing where the layers cannot
    be laid alike.
    """
    ours, own = first
    receiver, (_, twin) = subject.receiver, subject.untrained[0]
    try:
        found = {
            name: _brought(subject, pair, network, fitted, own)
            for name, network, fitted in (
                ("carried", subject.sender, ours),
                ("untrained", twin, untrained),
            )
        }
    except ShapeError:
        return {}
    units = own.dictionary.units
    start = found["carried"].dictionary
    found["trained"] = _fitted(subject, receiver, pair, units, options, seed, start)
    if ours.dictionary.units == units:
        raw = copy.deepcopy(ours.dictionary)
        raw.mean, raw.scale = own.dictionary.mean, own.dictionary.scale
        found["raw"] = own._replace(dictionary=raw)
    return {name: _scored(subject, one, f"dictionary, {name}") for name, one in found.items()}


@torch.no_grad()
def _brought(subject: Subject, pair: Pair, network: Network, fitted: Fitted, own: Fitted) -> Fitted:
    """The dictionary of a network on the receiver, by maps of places of training images."""
    networks = network, subject.receiver
    one, other = (subject.layer_of(network, pair) for network in networks)
    joint = join(network.module, subject.receiver.module, one, other)
    joint = joint.seeing(*(subject.look(one) for one in networks))
    there, back = AdaptiveMoments(per_location), AdaptiveMoments(per_location)
    for images, _ in progress(subject.batches("train"), "solving maps", subject.quiet):
        images = images.to(subject.device)
        source, target = joint.align(joint.sender.front(images)), joint.receiver.front(images)
        there.update(source, target)
        back.update(target, source)
    dictionary, mine = fitted.dictionary, own.dictionary
    carried = carry_dictionary(dictionary, there.frozen(), back.frozen(), mine.mean, mine.scale)
    return own._replace(dictionary=carried.eval())


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
    start: Dictionary | None = None,
) -> Fitted:
    """Train a dictionary on batches of the subject's training images, from a start if given."""
    layer = subject.layer_of(network, pair)
    task = SparseAutoencoder(
        network.module,
        layer,
        copy.deepcopy(start) if start else new_dictionary(units, options, seed),
        penalty=options.l1 or 0.0,
        seed=seed,
        look=subject.look(network),
    )
    try:
        trained = train_dictionary(subject, task, options.steps, f"dictionary of {layer}")
    except UserError as error:
        raise NotAskable(f"{layer} of the {network.role}: {error}") from error
    return Fitted(task.halves, trained)
