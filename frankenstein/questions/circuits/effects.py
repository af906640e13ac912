"""What circuits are worth: networks with a group silenced, or made from the other network's."""

import math
from collections.abc import Mapping
from statistics import fmean

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
_DRAWS = 3  # random groups of each size

Scores = Mapping[str, Mapping[str, float]]  # by edit: "accuracy", "agreement", ...


def edit_groups(subject: Subject, pair: Pair, layer: CircuitLayer) -> Effects:
    """Silence every group of every network, and graft the sender's groups into the receiver."""
    sender, receiver = subject.sender, subject.receiver
    try:
        halves = {}
        for one in subject.networks:
            layer_of = subject.layer_of(one, pair)
            halves[one.role] = join(one.module, one.module, layer_of, layer_of).receiver
        joint = join(sender.module, receiver.module, *pair)
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
        {role: _silenced(layer.circuits[role], scored) for role, scored in scores.items()},
        [
            _graft(s, r, scores[receiver.role], explained)
            for s, r, _ in layer.pairs()
            if f"{s} into {r}" in grafts
        ],
    )


def _silencing(circuits: CircuitGroups, z: Tensor, generator: torch.Generator) -> dict[str, Edit]:
    """Every group at its mean over training images, and as many random living units."""
    groups, mean = circuits.groups[:_GROUPS], z.double().mean(0)
    edits = {f"group {i}": ablate(group, mean) for i, group in enumerate(groups)}
    for size in sorted({len(group) for group in groups}):
        for k in range(_DRAWS):
            units = _some(_others(z, circuits.dead), size, generator)
            edits[f"random {size} {k}"] = ablate(units, mean)
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
        others = _others(z, torch.cat([ours.dead, units]))
        for k in range(_DRAWS if len(others) else 0):
            add(f"{s} into {r}, random {k}", _some(others, len(units), generator), into)
    return grafts, explained


def _silenced(circuits: CircuitGroups, scores: Scores) -> list[Silenced]:
    """The change of accuracy by every group, and by as many random units."""
    whole = scores["none"]["accuracy"]
    return [
        Silenced(
            scores[f"group {i}"]["accuracy"] - whole,
            tuple(scores[f"random {len(group)} {k}"]["accuracy"] - whole for k in range(_DRAWS)),
        )
        for i, group in enumerate(circuits.groups[:_GROUPS])
    ]


def _graft(s: int, r: int, scores: Scores, explained: Mapping[str, float]) -> Graft:
    name = f"{s} into {r}"
    draws = [draw for k in range(_DRAWS) if (draw := f"{name}, random {k}") in scores]
    random = {
        what: fmean([scores[draw][what] for draw in draws] or [math.nan])
        for what in ("accuracy", "agreement")
    }
    return Graft(
        s,
        r,
        explained[name],
        fmean([explained[draw] for draw in draws] or [math.nan]),
        {
            "whole": scores["none"],
            "silenced": scores[f"group {r}"],
            "grafted": scores[name],
            "grafted_random": random,
        },
    )


def _others(z: Tensor, without: Tensor) -> Tensor:
    """The units of a layer but for some."""
    kept = torch.ones(z.shape[1], dtype=torch.bool)
    kept[without.cpu()] = False
    return kept.nonzero()[:, 0].to(z.device)


def _some(units: Tensor, size: int, generator: torch.Generator) -> Tensor:  # at most `size`
    return units[torch.randperm(len(units), generator=generator)[:size].to(units.device)]
