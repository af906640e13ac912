"""What sparse features make up a layer of two networks, and whether they are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from frankenstein.dictionaries import Dictionary
from frankenstein.intervals import chance_of, mean_and_spread
from frankenstein.questions.dictionaries.matching import Matching
from frankenstein.questions.dictionaries.scores import DictionaryScores
from frankenstein.questions.table import DictionaryOptions


@dataclass(frozen=True)
class FittedDictionary:
    """The dictionary of one layer of one network."""

    layer: str
    network: str  # its sha256
    dictionary: Dictionary
    scores: DictionaryScores
    random: DictionaryScores  # of random directions in its place


@dataclass(frozen=True)
class AutoencoderAnswer:
    """Dictionaries of a pair of layers, and their features matched beside controls."""

    label: str  # of the pair
    images: int
    options: DictionaryOptions
    dictionaries: Mapping[str, FittedDictionary]  # by role
    # "networks"; the same of two seeds of one network, and of the units themselves.
    matchings: Mapping[str, Matching]
    untrained: Sequence[Matching]  # of the sender's features with those of untrained receivers
    # The sender's dictionary on the receiver, in several states; none where layers lie unlike.
    carried: Mapping[str, DictionaryScores]
    pictures: Mapping[str, Tensor]  # by role: (R, K, C, H, W) uint8, of the best matched features

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"explained/sender/relu3": ..., "matched/networks/relu3": ...}."""
        numbers: dict[str, float] = {}
        for role, one in self.dictionaries.items():
            place = f"{role}/{self.label}"
            numbers |= {f"{what}/{place}": value for what, value in one.scores.scores.items()}
            for what in ("explained", "accuracy/reconstruction"):
                numbers[f"random/{what}/{place}"] = one.random.scores[what]
        for kind, matching in self.matchings.items():
            numbers[f"matched/{kind}/{self.label}"] = matching.mean
            numbers[f"matched_shuffled/{kind}/{self.label}"] = matching.mean_shuffled
        for name, one_way in self.carried.items():
            for what in ("explained", "accuracy/reconstruction"):
                numbers[f"carried_{name}/{what}/{self.label}"] = one_way.scores[what]
        means = [matching.mean for matching in self.untrained]
        mean, spread = mean_and_spread(means)
        numbers[f"matched/untrained_receiver/{self.label}"] = mean
        numbers[f"matched_spread/untrained_receiver/{self.label}"] = spread
        shuffled = [matching.mean_shuffled for matching in self.untrained]
        numbers[f"matched_shuffled/untrained_receiver/{self.label}"] = mean_and_spread(shuffled)[0]
        numbers[f"matched_p/{self.label}"] = chance_of(self.matchings["networks"].mean, means)
        return numbers
