"""Loss and accuracy along the straight line between the weights of two networks."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from statistics import stdev

import torch
from torch import Tensor, nn

from frankenstein.networks.accuracy import evaluate_network
from frankenstein.networks.network import Network

Scores = Mapping[str, float]  # of a network on held-out images: "accuracy", "loss" in nats
UNMATCHED, AVERAGED = "as_they_are", "by_activations_statistics_averaged"
WAYS = (UNMATCHED, AVERAGED, "by_activations", "by_weights")  # to match the sender's units


@dataclass(frozen=True)
class LossLine:
    """Scores of networks between two: the first at share 0, the last at share 1."""

    shares: tuple[float, ...]
    loss: dict[str, tuple[float, ...]]  # by part of the data, one for every share
    accuracy: dict[str, tuple[float, ...]]

    def barrier(self, part: str) -> float:
        """The largest loss above the straight line between the losses at both ends, in nats.

        About 0 where all networks between are as good as those at the ends.

        Source: Frankle et al. 2020, https://arxiv.org/abs/1912.05671; Entezari et al. 2022,
        definition 2.1, https://arxiv.org/abs/2110.06296.
        """
        first, last = self.loss[part][0], self.loss[part][-1]
        between = zip(self.shares, self.loss[part], strict=True)
        return max(loss - (1 - share) * first - share * last for share, loss in between)


def loss_line(
    make: Callable[[float], nn.Module],  # share of the second network -> network
    shares: Iterable[float],  # ascending, from 0 to 1
    parts: Mapping[str, Iterable[tuple[Tensor, Tensor]]],  # such as {"held-out": batches}
    device: torch.device | str = "cpu",
) -> LossLine:
    """Every network that `make` makes, scored on every part of the data."""
    scores = {}
    for share in shares:
        network = make(share)
        scores[share] = {p: evaluate_network(network, parts[p], device) for p in parts}
    loss, accuracy = (
        {part: tuple(of_part[part][what] for of_part in scores.values()) for part in parts}
        for what in ("loss", "accuracy")
    )
    return LossLine(tuple(scores), loss, accuracy)


@dataclass(frozen=True)
class MergeAnswer:
    """Lines between two networks, units matched in several ways, and the networks halfway."""

    lines: Mapping[str, LossLine]  # by way to match, on parts "train" and "val"
    parents: Mapping[str, Scores]  # "sender", "receiver", and the "mean_of_logits" of both
    best: str  # the way whose network halfway has the least training loss
    merged: Network  # that network
    movable: int  # sets of units whose order can change
    examples: Mapping[str, int]  # images of "train" and "val"
    counted: int  # training images that statistics are counted on
    other_starts: Sequence[Scores]  # halfway, matched by weights from other starts than the best

    @cached_property
    def halfway(self) -> Mapping[str, Scores]:
        """The network halfway, by way to match."""
        scores = {}
        for way, line in self.lines.items():
            middle = len(line.shares) // 2
            accuracy, loss = line.accuracy["val"][middle], line.loss["val"][middle]
            scores[way] = {"accuracy": accuracy, "loss": loss}
        return scores

    @cached_property
    def counted_anew(self) -> Mapping[str, Scores]:
        """Both networks as lines end in them, merged with themselves; none without statistics."""
        line, scores = self.lines[UNMATCHED], dict[str, Scores]()
        for name, at in (("sender", 0), ("receiver", -1)):
            accuracy, loss = line.accuracy["val"][at], line.loss["val"][at]
            if not math.isclose(loss, self.parents[name]["loss"], rel_tol=1e-4):
                scores[name] = {"accuracy": accuracy, "loss": loss}
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
            numbers |= {f"{what}/{name}": score[what] for what in ("accuracy", "loss")}
        for what in ("accuracy", "loss"):
            values = [score[what] for score in (self.halfway["by_weights"], *self.other_starts)]
            numbers[f"{what}_spread/merged_by_weights"] = stdev(values)
        return numbers
