"""What lies between the weights of two networks, and what the network halfway is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from frankenstein.networks.network import Network
from frankenstein.questions.merging.loss_line import LossLine

UNMATCHED, AVERAGED = "as_they_are", "by_activations_statistics_averaged"
WAYS = (UNMATCHED, AVERAGED, "by_activations", "by_weights")  # to match the sender's units


@dataclass(frozen=True)
class Score:
    """Of a network on held-out images."""

    accuracy: float
    loss: float  # nats


@dataclass(frozen=True)
class MergeAnswer:
    """Lines between two networks, units matched in several ways, and the networks halfway."""

    lines: Mapping[str, LossLine]  # by way to match, on parts "train" and "val"
    parents: Mapping[str, Score]  # "sender", "receiver", and the "mean_of_logits" of both
    best: str  # the way whose network halfway has the least training loss
    merged: Network  # that network
    movable: int  # sets of units whose order can change
    examples: Mapping[str, int]  # images of "train" and "val"

    @cached_property
    def halfway(self) -> Mapping[str, Score]:
        """The network halfway, by way to match."""
        scores = {}
        for way, line in self.lines.items():
            middle = len(line.shares) // 2
            scores[way] = Score(line.accuracy["val"][middle], line.loss["val"][middle])
        return scores

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """Such as {"barrier_val/by_weights": ..., "accuracy/merged_by_weights": ...}."""
        numbers: dict[str, float] = {}
        for (way, line), part in product(self.lines.items(), self.examples):
            numbers[f"barrier_{part}/{way}"] = line.barrier(part)
            for what in ("loss", "accuracy"):
                for share, value in zip(line.shares, getattr(line, what)[part], strict=True):
                    numbers[f"line_{what}_{part}/{way}/{share}"] = value
        scores = {**self.parents, **{f"merged_{way}": one for way, one in self.halfway.items()}}
        for name, score in scores.items():
            numbers |= {f"accuracy/{name}": score.accuracy, f"loss/{name}": score.loss}
        return numbers
