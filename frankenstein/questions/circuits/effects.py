"""What circuits are worth: networks with a group silenced, or made from the other network's."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.errors import UserError
from frankenstein.measures import r_squared
from frankenstein.questions.circuits.edit import (
    Edit,
    ablate,
    moments_between,
    score_edits,
    transplant,
)
from frankenstein.questions.circuits.layers import CircuitLayer
from frankenstein.questions.study import Study
from frankenstein.report.progress import progress
from frankenstein.surgery import Cut, Joint, join
from frankenstein.surgery.fold import fold

_EXAMPLES = (
    1000  # held-out images to score on, and training images to solve on: each edit is a pass
)
_GROUPS = 8  # of a layer, the largest
_DRAWS = 3  # random groups of each size

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Effects:
    """Scores of every edit by its name; `reason` says why there are none."""

    ablated: dict[str, Scores] = field(default_factory=dict)  # whose: "none", "group 0", ...
    grafted: Scores = field(default_factory=dict)  # of the receiver: "0 into 3", ...
    explained: dict[str, float] = field(default_factory=dict)  # r² of these, on training images
    reason: str | None = None

    def control(self, whose: str, size: int, what: str = "accuracy") -> list[float]:
        """The scores of a network with so many random units silenced."""
        return [self.ablated[whose][f"random {size} {k}"][what] for k in range(_DRAWS)]

    def grafted_control(self, name: str, what: str) -> list[float]:
        """The scores of a graft from as many random units; none where there are no others."""
        names = [f"{name}, random {k}" for k in range(_DRAWS)]
        return [self.grafted[random][what] for random in names if random in self.grafted]


def effects(study: Study, layer: CircuitLayer) -> Effects:
    """Silence every group of every network, and graft the sender's groups into the receiver."""
    try:
        joints = {whose: _joint(study, layer, whose) for whose in study.trained}
        joint = join(study.sender, study.receiver, *layer.pair)
    except UserError as error:
        return Effects(reason=str(error))
    generator = study.generator()
    edits = {
        whose: _ablations(layer, whose, study.train.of[whose][layer.layer(whose)], generator)
        for whose in study.trained
    }
    grafts, explained = _grafts(study, layer, joint, generator)
    batches = study.data.val_batches(min(_EXAMPLES, study.options["examples"]))
    scores: dict[str, Scores] = {}
    for whose, halves in joints.items():
        source = torch.nn.Sequential(fold(joint.sender.front), joint.align)
        scores[whose] = score_edits(
            Cut(fold(halves.front), fold(halves.end)),
            edits[whose] | (grafts if whose == "receiver" else {}),
            progress(batches, f"editing {layer.label} of the {whose}", study.quiet),
            source if whose == "receiver" and grafts else None,
            study.device,
        )
    grafted = {name: scores["receiver"].pop(name) for name in grafts}
    return Effects(scores, grafted, explained)


def shown(groups: Sequence[Tensor]) -> range:
    """The groups that are silenced: the largest."""
    return range(min(_GROUPS, len(groups)))


def _joint(study: Study, layer: CircuitLayer, whose: str) -> Cut:
    network, name = study.trained[whose], layer.layer(whose)
    return join(network, network, name, name).receiver


def _ablations(
    layer: CircuitLayer, whose: str, z: Tensor, generator: torch.Generator
) -> dict[str, Edit]:
    """Every group at its mean over training images, and as many random living units."""
    found, mean = layer.found[whose], z.double().mean(0)
    groups = [found.groups[i] for i in shown(found.groups)]
    edits = {f"group {i}": ablate(group, mean) for i, group in enumerate(groups)}
    for size in sorted({len(group) for group in groups}):
        for k in range(_DRAWS):
            units = _some(_others(z, found.dead), size, generator)
            edits[f"random {size} {k}"] = ablate(units, mean)
    return edits


def _grafts(
    study: Study, layer: CircuitLayer, joint: Joint, generator: torch.Generator
) -> tuple[dict[str, Edit], dict[str, float]]:
    """Matched groups of the sender into the receiver, and random units of the sender likewise."""
    groups = {whose: layer.found[whose].groups for whose in ("sender", "receiver")}
    pairs = [(s, r) for s, r in layer.pairs("sender", "receiver") if r in shown(groups["receiver"])]
    if not pairs:
        return {}, {}
    moments, fronts = Moments(), (fold(joint.sender.front), fold(joint.receiver.front))
    batches = study.data.train_batches(min(_EXAMPLES, study.options["examples"]))
    for images, _ in progress(batches, f"solving {layer.label}", study.quiet):
        source, target = (front(images.to(study.device)) for front in fronts)
        moments.update(joint.align(source), target)
    grafts: dict[str, Edit] = {}
    explained: dict[str, float] = {}
    dead, z = layer.found["sender"].dead, study.train.sender[layer.pair[0]]
    for s, r in pairs:
        of, into = groups["sender"][s], groups["receiver"][r]
        grafts[f"{s} into {r}"] = transplant(of, into, moments)
        explained[f"{s} into {r}"] = float(r_squared(moments_between(moments, of, into)))
        others = _others(z, torch.cat([dead, of]))
        for k in range(_DRAWS if len(others) else 0):
            random = _some(others, min(len(of), len(others)), generator)
            grafts[f"{s} into {r}, random {k}"] = transplant(random, into, moments)
            fitted = r_squared(moments_between(moments, random, into))
            explained[f"{s} into {r}, random {k}"] = float(fitted)
    return grafts, explained


def _others(z: Tensor, without: Tensor) -> Tensor:
    """The units of a layer but for some."""
    kept = torch.ones(z.shape[1], dtype=torch.bool)
    kept[without.cpu()] = False
    return kept.nonzero()[:, 0].to(z.device)


def _some(units: Tensor, size: int, generator: torch.Generator) -> Tensor:
    return units[torch.randperm(len(units), generator=generator)[:size].to(units.device)]
