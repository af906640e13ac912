"""Are the activations of an image alike in two networks, raw and sorted, or is it an accident?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from frankenstein.questions.question import Need, Question
from frankenstein.questions.subject import Pair, Subject
from frankenstein.questions.units.answer import NETWORKS, Spread, UnitsAnswer
from frankenstein.questions.units.page import units_section
from frankenstein.questions.units.raw_and_sorted import (
    in_other_orders,
    mean_and_spread,
    raw_and_sorted,
)
from frankenstein.report import Section

_ORDERS = 1000  # of the receiver's units, that the first control is the mean of


@dataclass(frozen=True, kw_only=True)
class Units(Question[UnitsAnswer]):
    """Are the activations of an image alike, unit by unit and whichever unit does it?"""

    title: ClassVar[str] = "Units, raw and sorted"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "untrained"})

    def ask(self, subject: Subject) -> UnitsAnswer:
        """For every pair of layers, with controls."""
        subject.expect([self])
        layers = {subject.label(pair): _of_pair(subject, pair) for pair in subject.pairs}
        return UnitsAnswer(len(subject.val), _ORDERS, layers)

    def show(self, answer: UnitsAnswer) -> Section:
        """Both kinds beside their controls."""
        return units_section(self.title, answer)


def _of_pair(subject: Subject, pair: Pair) -> Mapping[str, Mapping[str, Spread]]:
    """Mean and spread of each kind, for the networks and for each control."""
    generator = subject.generator()
    x, y = (subject.rows("val", network, pair) for network in (subject.sender, subject.receiver))
    shuffled = torch.rand(y.shape, generator=generator).argsort(0).to(y.device)
    untrained = [subject.rows("val", network, pair) for network in subject.untrained]
    networks = _over_images(x, y)
    return {
        NETWORKS: networks,
        "units_shuffled": networks | _over_orders(x, y, generator),
        "values_shuffled": _over_images(x, y.gather(0, shuffled)),
        "other_images": _over_images(x, y.roll(1, 0)),
        "untrained": _over_images(*untrained),
    }


def _over_orders(x: Tensor, y: Tensor, generator: torch.Generator) -> dict[str, Spread]:
    """Mean and spread over orders of the raw numbers' means over images."""
    if x.shape != y.shape:
        return {}
    orders = torch.rand(_ORDERS, y.shape[1], generator=generator).argsort(1).to(y.device)
    return {
        kind: (float(means.mean()), float(means.std(correction=0)))
        for kind, means in in_other_orders(x, y, orders).items()
    }


def _over_images(x: Tensor, y: Tensor) -> dict[str, Spread]:
    kinds = raw_and_sorted(x[None], y[None])
    spreads = {kind: mean_and_spread(values[0, 0]) for kind, values in kinds.items()}
    return {kind: (float(mean), float(spread)) for kind, (mean, spread) in spreads.items()}
