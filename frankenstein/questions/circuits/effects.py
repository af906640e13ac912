"""What circuits are worth: networks with a group silenced, or made from the other network's."""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import r_squared
from frankenstein.questions.circuits.answer import CircuitLayer, Effects, Graft, Silenced
from frankenstein.questions.circuits.edit import (
    Edit,
    ablate,
    moments_between,
    score_edits,
    transplant,
)
from frankenstein.questions.circuits.find import CircuitGroups
from frankenstein.questions.subject import Pair, Subject
from frankenstein.report.progress import progress
from frankenstein.surgery import Cut, Joint, join
from frankenstein.surgery.lighten import fold

_EXAMPLES = 1000  # held-out images to score on, training images to solve on: an edit is a pass
_GROUPS = 8  # of a layer, the largest
DRAWS = 20  # of random units, for each group

T = TypeVar("T")
Scores = Mapping[str, Mapping[str, float]]  # by edit: "accuracy", "agreement", ...


def edit_groups(subject: Subject, pair: Pair, layer: CircuitLayer) -> Effects:
    """Silence every group of every network, and graft the sender's groups into the receiver."""
    sender, receiver = subject.sender, subject.receiver
    try:
        halves = {}
        for one in subject.networks:
            layer_of = subject.layer_of(one, pair)
            itself = join(one.module, one.module, layer_of, layer_of)
            halves[one.role] = itself.seeing(None, subject.look(one)).receiver
        joint = join(sender.module, receiver.module, *pair)
        joint = joint.seeing(subject.look(sender), subject.look(receiver))
    except UserError as error:
        return Effects({}, reason=str(error))
    generator = subject.generator()
    edits = {
        one.role: _silencing(layer.circuits[one.role], subject.rows("train", one, pair), generator)
        for one in subject.networks
    }
    grafts, explained = _grafts(subject, pair, layer, joint, generator)
    batches = subject.data.val_batches(min(_EXAMPLES, subject.examples))
    source = torch.nn.Sequential(fold(joint.sender.front), joint.align)
    scores: dict[str, Scores] = {}
    for one in subject.networks:
        grafted = grafts if one is receiver else {}
        scores[one.role] = score_edits(
            Cut(*map(fold, halves[one.role])),
            edits[one.role] | grafted,
            progress(batches, f"editing {layer.label} of the {one.role}", subject.quiet),
            source if grafted else None,
            subject.device,
        )
    return Effects(
        {
            one.role: _silenced(
                layer.circuits[one.role],
                len(_others(subject.rows("train", one, pair), layer.circuits[one.role].dead)),
                scores[one.role],
            )
            for one in subject.networks
        },
        [
            _graft(s, r, scores[receiver.role], explained)
            for s, r, _ in layer.pairs()
            if f"{s} into {r}" in grafts
        ],
    )


def _silencing(circuits: CircuitGroups, z: Tensor, generator: torch.Generator) -> dict[str, Edit]:
    """Every group at its mean over training images, and random living units that are not in it."""
    groups, mean = circuits.groups[:_GROUPS], z.double().mean(0)
    edits = {f"group {i}": ablate(group, mean) for i, group in enumerate(groups)}
    for i, group in enumerate(groups):
        for k, units in enumerate(_draws(_others(z, circuits.dead, group), len(group), generator)):
            edits[f"random {i} {k}"] = ablate(units, mean)
    return edits


def _grafts(
    subject: Subject, pair: Pair, layer: CircuitLayer, joint: Joint, generator: torch.Generator
) -> tuple[dict[str, Edit], dict[str, float]]:
    """Matched groups of the sender into the receiver, and random units of the sender likewise.

    Each with the r² of its least squares on training images.
    """
    ours = layer.circuits[subject.sender.role]
    theirs = layer.circuits[subject.receiver.role].groups[:_GROUPS]
    pairs = [(s, r) for s, r, _ in layer.pairs() if r < len(theirs)]
    if not pairs:
        return {}, {}
    moments, fronts = Moments(), (fold(joint.sender.front), fold(joint.receiver.front))
    batches = subject.data.train_batches(min(_EXAMPLES, subject.examples))
    for images, _ in progress(batches, f"solving {layer.label}", subject.quiet):
        source, target = (front(images.to(subject.device)) for front in fronts)
        moments.update(joint.align(source), target)
    grafts: dict[str, Edit] = {}
    explained: dict[str, float] = {}

    def add(name: str, units: Tensor, into: Tensor) -> None:
        grafts[name] = transplant(units, into, moments)
        explained[name] = float(r_squared(moments_between(moments, units, into)))

    z = subject.rows("train", subject.sender, pair)
    for s, r in pairs:
        units, into = ours.groups[s], theirs[r]
        add(f"{s} into {r}", units, into)
        others = _others(z, ours.dead, units)
        for k, random in enumerate(_draws(others, len(units), generator)):
            add(f"{s} into {r}, random {k}", random, into)
    return grafts, explained


def _silenced(circuits: CircuitGroups, living: int, scores: Scores) -> list[Silenced]:
    """The change of accuracy by every group, and by random units."""
    whole = scores["none"]["accuracy"]
    return [
        Silenced(
            scores[f"group {i}"]["accuracy"] - whole,
            tuple(one["accuracy"] - whole for one in _drawn(scores, f"random {i}")),
            min(len(group), living - len(group)),
        )
        for i, group in enumerate(circuits.groups[:_GROUPS])
    ]


def _drawn(scores: Mapping[str, T], name: str) -> list[T]:
    """What there is of each draw; one where there are no other units to draw."""
    return [scores[key] for k in range(DRAWS) if (key := f"{name} {k}") in scores]


def _graft(s: int, r: int, scores: Scores, explained: Mapping[str, float]) -> Graft:
    name = f"{s} into {r}"
    return Graft(
        s,
        r,
        explained[name],
        _drawn(explained, f"{name}, random"),
        {
            "whole": scores["none"],
            "silenced": scores[f"group {r}"],
            "grafted": scores[name],
        },
        _drawn(scores, f"{name}, random"),
    )


def _others(z: Tensor, *without: Tensor) -> Tensor:
    """The units of a layer but for some."""
    kept = torch.ones(z.shape[1], dtype=torch.bool)
    kept[torch.cat(without).cpu()] = False
    return kept.nonzero()[:, 0].to(z.device)


def _draws(units: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
    """Several times `size` units at random; once all of them where there are no more than that."""
    if len(units) <= size:
        return [units] if len(units) else []
    orders = (torch.randperm(len(units), generator=generator)[:size] for _ in range(DRAWS))
    return [units[order.to(units.device)] for order in orders]
