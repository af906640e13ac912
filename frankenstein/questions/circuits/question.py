"""Circuits: which units of a layer are active together, in one network and across networks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import torch
from matplotlib.figure import Figure

from frankenstein.errors import UserError
from frankenstein.questions.circuits.effects import Effects, effects, shown
from frankenstein.questions.circuits.layers import CircuitLayer, circuit_layer
from frankenstein.questions.circuits.maps import circuit_map, maps_at_hand
from frankenstein.questions.circuits.match import profile_similarity
from frankenstein.questions.circuits.options import CircuitOptions
from frankenstein.questions.question import Need, Question
from frankenstein.questions.study import Study
from frankenstein.questions.subject import Subject
from frankenstein.report import Picture, Section, by_layer, heatmap, markdown_table
from frankenstein.report.panels import point_panels

_SAID = (
    "Groups of units that act together, matched by what they do. Accuracy lost when a group is "
    "silenced, and agreement with the receiver when one is grafted, beside as many random units."
)
_LINES = (
    ("groups, sender", "groups/sender/{}", ".0f"),
    ("groups, receiver", "groups/receiver/{}", ".0f"),
    ("  shuffled images", "null_groups/sender/{}", ".0f"),
    ("  untrained", "untrained_groups/{}", ".1f"),
    ("matched", "matched/{}", ".0f"),
    ("their similarity", "matched_similarity/{}", ".2f"),
    ("  untrained", "untrained_similarity/{}", ".2f"),
    ("silenced in the receiver", "mean_ablated/receiver/{}", "%"),
    ("  random units", "mean_ablated_random/receiver/{}", "%"),
    ("grafted, agreement", "mean_grafted_agreement/{}", "%"),
    ("  random units", "mean_grafted_random_agreement/{}", "%"),
    ("  group silenced", "mean_silenced_agreement/{}", "%"),
)
_MEANS = (
    *("ablated/sender", "ablated_random/sender", "ablated/receiver", "ablated_random/receiver"),
    *("silenced_agreement", "grafted_agreement", "grafted_random_agreement"),
)
_MAP_NAMES = {"pca": "principal components", "tsne": "t-SNE", "umap": "UMAP"}
_MAP_SAID = {
    "pca": "distances are kept as well as two axes can",
    "tsne": "neighbours stay neighbours, but how far apart or large clusters are says nothing",
    "umap": "neighbours stay neighbours, but how far apart or large clusters are says nothing",
}
_GROUPINGS = {
    "components": "those that are linked, directly or through others, by similarities of at least "
    "a threshold",
    "average": "those that join, two groups at a time, while the mean similarity between the two "
    "is at least a threshold",
}


def section(study: Study) -> Section:
    """Groups of units of every pair of layers: matched, mapped, silenced and grafted."""
    layers = [circuit_layer(study, pair) for pair in study.pairs]
    worth = [effects(study, layer) for layer in layers]
    scores: dict[str, float] = {}
    overview = _overview(layers, scores)
    details: list[str | Picture] = []
    for layer, found in zip(layers, worth, strict=True):
        details += [f"### Circuits of {layer.label}", *_pictures(study, layer)]
        details.append(_group_table(study, layer, found, scores))
        details += _graft_table(layer, found, scores)
    means = _means(layers, worth, scores)
    blocks = (_about(study), overview, means, *_maps(layers), *details)
    short = by_layer(_SAID, scores, [layer.label for layer in layers], _LINES)
    return Section("Circuits", blocks, scores, short)


def _overview(layers: Sequence[CircuitLayer], scores: dict[str, float]) -> str:
    """How many groups there are and how alike, each beside what chance and no learning give."""
    rows = []
    for layer in layers:
        for whose, found in layer.found.items():
            units = sum(map(len, found.groups))
            key = f"{whose}/{layer.label}"
            scores |= {f"groups/{key}": len(found.groups), f"grouped_units/{key}": units}
            scores |= {f"threshold/{key}": found.threshold, f"null_similarity/{key}": found.null}
            scores |= {f"null_groups/{key}": found.null_groups, f"dead/{key}": len(found.dead)}
            rows.append([layer.label, whose, len(found.groups), units, len(found.dead)])
            rows[-1] += [found.threshold, found.null, found.null_groups]
    header = ["layer", "network", "groups", "units in them", "dead", "threshold"]
    tables = [markdown_table(rows, [*header, "largest by chance", "groups by chance"])]
    rows = []
    for layer in layers:
        pairs = layer.pairs("sender", "receiver")
        alike = [layer.similarity("sender", s, "receiver", r) for s, r in pairs]
        mean = fmean(alike) if alike else math.nan
        scores |= {f"matched/{layer.label}": len(pairs)}
        scores |= {f"matched_similarity/{layer.label}": mean}
        scores |= {f"matched_null/{layer.label}": layer.families.null}
        scores |= {f"untrained_{key}/{layer.label}": v for key, v in layer.control.items()}
        rows.append([layer.label, len(pairs), mean, layer.families.null])
        rows[-1] += [layer.control[key] for key in ("groups", "matched", "similarity")]
    header = ["layer", "matched", "mean similarity", "largest by chance", "untrained: groups"]
    tables.append(markdown_table(rows, [*header, "untrained: matched", "untrained: similarity"]))
    return "\n\n".join(tables)


def _means(
    layers: Sequence[CircuitLayer], worth: Sequence[Effects], scores: dict[str, float]
) -> str:
    """What groups are worth on the whole: means over a layer's groups, beside random units."""
    rows = []
    for layer, found in zip(layers, worth, strict=True):
        if found.reason is not None:
            continue
        row: list = [layer.label]
        for whose in ("sender", "receiver"):
            for kind in ("ablated", "ablated_random"):
                row.append(_mean(scores, f"{kind}/{whose}/{layer.label}/"))
        for kind in ("silenced", "grafted", "grafted_random"):
            row.append(_mean(scores, f"{kind}_agreement/{layer.label}/"))
        rows.append(row)
        scores |= {
            f"mean_{name}/{layer.label}": value for name, value in zip(_MEANS, row[1:], strict=True)
        }
    header = ["layer", "silenced in sender", "random", "silenced in receiver", "random units"]
    agree = ["agreement: silenced", "agreement: grafted", "agreement: random"]
    said = (
        "Means over the groups of a layer: the change in accuracy with a group silenced, beside as "
        "many random units, and the agreement with the whole receiver when a group is silenced, "
        "made from the sender's matched group, or made from random units of the sender."
    )
    percent = [*header[1:], *agree]
    return f"{said}\n\n{markdown_table(rows, [*header, *agree], percent)}" if rows else ""


def _mean(scores: dict[str, float], start: str) -> float:
    values = [value for key, value in scores.items() if key.startswith(start)]
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def _maps(layers: Sequence[CircuitLayer]) -> list[str | Picture]:
    """All groups of all networks on a plane, a panel for each layer."""
    pictures: list[str | Picture] = []
    for kind in maps_at_hand():
        panels = {}
        for layer in layers:
            try:
                places = circuit_map(torch.cat([*layer.profiles.values()]), kind, seed=0)
            except UserError:  # too few groups
                continue
            sizes = [len(found.groups) for found in layer.found.values()]
            panels[layer.label] = dict(zip(layer.found, places.split(sizes), strict=True))
        if panels:
            said = (
                f"Every point is a group of units; what is near does alike things over the "
                f"held-out images ({_MAP_NAMES[kind]}: {_MAP_SAID[kind]}). Points of all networks "
                "side by side are circuits that all have."
            )
            pictures.append(Picture(f"map-{kind}", point_panels(panels), said))
    return pictures


def _pictures(study: Study, layer: CircuitLayer) -> list[str | Picture]:
    """Groups against groups, and groups against classes."""
    named = {whose: layer.names(whose) for whose in layer.found if layer.names(whose)}
    if not named:
        return ["No two units are active together."]
    names = [name for own in named.values() for name in own]
    responses = torch.cat([layer.responses[whose] for whose in named])
    largest = float(responses.abs().nan_to_num(0).max()) or 1.0
    classes = heatmap(
        responses,
        names,
        study.data.classes,
        f"{layer.label}: groups by class",
        column_label="class",
        limits=(-largest, largest),
    )
    said = (
        "Mean activation of every group over the held-out images of each class, in standard "
        "deviations of its units: red classes are what it answers to. With labels shuffled the "
        f"largest is {max(layer.chance[whose] for whose in named):.2f}; the table names classes "
        "above that and 0.5."
    )
    found: list[str | Picture] = [Picture(f"{layer.label}-classes", classes, said)]
    if len(named) > 1:
        found.insert(0, _similarities(layer, named))
    return found


def _similarities(layer: CircuitLayer, named: dict[str, list[str]]) -> Picture:
    first = next(iter(named))
    others = [whose for whose in named if whose != first]
    values = profile_similarity(
        layer.profiles[first], torch.cat([layer.profiles[whose] for whose in others])
    )
    columns = [name for whose in others for name in named[whose]]
    title = f"{layer.label}: similarity of groups"
    figure: Figure = heatmap(
        values, named[first], columns, title, f"groups of the {first}", limits=(-1, 1)
    )
    said = (
        "Correlation over held-out images of what the groups of one network do with what those of "
        "the others do. A row with one red cell is a circuit that both have; a red block is one "
        "that the two have cut up in different ways."
    )
    return Picture(f"{layer.label}-similarity", figure, said)


def _group_table(
    study: Study, layer: CircuitLayer, found: Effects, scores: dict[str, float]
) -> str:
    """A row for every group: its units, its like, its classes, and what silencing it costs."""
    rows: list[list] = []
    for whose, circuits in layer.found.items():
        others = [other for other in layer.found if other != whose]
        for i, (name, group) in enumerate(zip(layer.names(whose), circuits.groups, strict=True)):
            row: list = [whose, name, len(group), _listed(group.tolist())]
            row += [_likes(layer, whose, i, others), layer.classes(whose, i, study.data.classes)]
            if found.reason is None and i in shown(circuits.groups):
                whole = found.ablated[whose]["none"]["accuracy"]
                change = found.ablated[whose][f"group {i}"]["accuracy"] - whole
                control = [a - whole for a in found.control(whose, len(group))]
                key = f"{whose}/{layer.label}/{name.split()[-1].lstrip('SR')}"
                scores |= {f"ablated/{key}": change, f"ablated_random/{key}": fmean(control)}
                row += [change, fmean(control), min(control)]
            else:
                row += [None, None, None]
            rows.append(row)
    header = ["network", "group", "size", "units", "like", "classes"]
    costs = ["silenced", "random units", "worst of them"]
    reason = f"\n\nNothing was silenced: {found.reason}." if found.reason else ""
    return (markdown_table(rows, [*header, *costs], costs) if rows else "") + reason


def _graft_table(
    layer: CircuitLayer, found: Effects, scores: dict[str, float]
) -> list[str | Picture]:
    """A row for every matched group that is grafted from the sender into the receiver."""
    rows = []
    for s, r in layer.pairs("sender", "receiver"):
        name = f"{s} into {r}"
        if name not in found.grafted:
            continue
        whole, silenced = (found.ablated["receiver"][key] for key in ("none", f"group {r}"))
        grafted, key = found.grafted[name], f"{layer.label}/{s + 1}-{r + 1}"
        fitted = [value for key, value in found.explained.items() if key.startswith(f"{name}, ")]
        chance = fmean(fitted) if fitted else math.nan
        row = [f"S{s + 1} into R{r + 1}", found.explained[name], chance]
        scores |= {f"grafted_r2/{key}": found.explained[name], f"grafted_random_r2/{key}": chance}
        for what in ("accuracy", "agreement"):
            control = found.grafted_control(name, what)
            random = fmean(control) if control else math.nan
            if what == "accuracy":
                row.append(whole[what])
            row += [silenced[what], grafted[what], random]
            scores |= {
                f"grafted_{what}/{key}": grafted[what],
                f"silenced_{what}/{key}": silenced[what],
            }
            scores |= {f"grafted_random_{what}/{key}": random}
        rows.append(row)
    if not rows:
        return []
    header = ["graft", "r²", "r², random", "receiver", "silenced", "grafted", "random units"]
    agree = ["agreement: silenced", "agreement: grafted", "agreement: random"]
    said = (
        "The receiver with the units of a group made from the sender's matched group, by least "
        "squares between the two groups alone (r² on training images), beside the receiver as it "
        "is, with the group silenced, and with it made from as many random other units of the "
        "sender. Agreement is the share of predictions that stay the receiver's own."
    )
    return [said, markdown_table(rows, [*header, *agree], [*header[3:], *agree])]


def _about(study: Study) -> str:
    options = study.options
    return (
        "A circuit is a group of two or more units of one layer that are active together over "
        f"{len(study.train)} training images (means over places): {_GROUPINGS[options['grouping']]}"
        f". Similarity is the {options['similarity']}{_threshold(options['threshold'])} (*largest "
        "by chance*). *Groups by chance* are those at the same threshold once all units' images "
        "are shuffled. Units that do not vary are dead and in no group.\n\n"
        f"What a group does is the mean of its standardized units on {len(study.val)} held-out "
        "images. Groups of two networks are matched one to one by the correlation of that, where "
        "it is above the largest between groups of shuffled images; with more networks, each with "
        "the one network that is most like all. *Untrained* is the same of two networks with "
        "random weights: likeness that needs no learning.\n\n"
        "*Silenced* is the change in accuracy when all units of a group stay at their mean, "
        "beside as many random living units of the layer (mean and worst of three draws). Edited "
        "networks are scored on at most 1000 held-out images, for the eight largest groups."
    )


def _threshold(asked: float | None) -> str:
    chance = "the largest similarity of units whose images are shuffled"
    if asked is None:
        return f", the threshold the one that leaves the most groups, never below {chance}"
    return f", the threshold {asked:g}, as asked; below it there should be {chance}"


def _likes(layer: CircuitLayer, whose: str, group: int, others: Sequence[str]) -> str:
    found = []
    for other in others:
        partner = layer.partner(whose, group, other)
        if partner is not None:
            alike = layer.similarity(whose, group, other, partner)
            found.append(f"{layer.names(other)[partner]} ({alike:.2f})")
    return ", ".join(found) or "none"


def _listed(units: list[int], most: int = 12) -> str:
    more = f" and {len(units) - most} more" if len(units) > most else ""
    return ", ".join(map(str, units[:most])) + more


@dataclass(frozen=True, kw_only=True)
class Circuits(CircuitOptions, Question[Section]):
    """To be converted."""

    title: ClassVar[str] = "Circuits"
    needs: ClassVar[frozenset[Need]] = frozenset({"layers", "inputs", "labels", "untrained"})

    def ask(self, subject: Subject) -> Section:
        return section(Study(subject, self.values()))

    def show(self, answer: Section) -> Section:
        return answer
