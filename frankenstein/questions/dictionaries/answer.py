"""What sparse features make up a layer of two networks, and whether they are the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from frankenstein.dictionaries import Dictionary
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
    # "networks"; the same of two seeds of one network, of a network that learned nothing, and of
    # the units themselves.
    matchings: Mapping[str, Matching]
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
        return numbers
