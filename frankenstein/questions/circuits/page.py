"""What a report says of circuits."""

from typing import Any

import torch

from frankenstein.questions.circuits.answer import CircuitLayer, CircuitsAnswer
from frankenstein.questions.circuits.effects import DRAWS
from frankenstein.questions.circuits.match import profile_similarity
from frankenstein.report import (
    Picture,
    Section,
    by_layer,
    cells_of,
    heatmap,
    markdown_table,
    short_number,
)
from frankenstein.report.panels import point_panels

_SUMMARY = (
    "Groups of units that act together, matched by what they do. Accuracy lost when a group is "
    "silenced, and agreement with the receiver when one is grafted, beside random units. p: how "
    "often untrained networks have as much, in any layer."
)
_FINDINGS = (
    "At {layer} {4} groups of units have a partner in the other network, and {5} in untrained "
    "networks; their similarity is {7}, and {8} there.",
    "At {layer} the sender has {0} groups of units and the receiver {1}; {4} of them match.",
)
_LINES = (
    ("groups, sender", "groups/sender/{}", ".0f"),
    ("groups, receiver", "groups/receiver/{}", ".0f"),
    ("  shuffled images", "null_groups/sender/{}", ".0f"),
    ("  untrained", "untrained_groups/{}", ".1f"),
    ("matched", "matched/{}", ".0f"),
    ("  untrained", "untrained_matched/{}", ".1f"),
    ("  p", "matched_p/{}", ".3f"),
    ("their similarity", "matched_similarity/{}", ".2f"),
    ("  untrained", "untrained_similarity/{}", ".2f"),
    ("    their spread", "untrained_similarity_spread/{}", ".2f"),
    ("  p", "matched_similarity_p/{}", ".3f"),
    ("silenced in the receiver", "mean_ablated/receiver/{}", "%"),
    ("  random units", "mean_ablated_random/receiver/{}", "%"),
    ("    their spread", "mean_ablated_random_spread/receiver/{}", "%"),
    ("grafted, agreement", "mean_grafted_agreement/{}", "%"),
    ("  random units", "mean_grafted_random_agreement/{}", "%"),
    ("    their spread", "mean_grafted_random_agreement_spread/{}", "%"),
    ("  group silenced", "mean_silenced_agreement/{}", "%"),
)
_CLUSTERS = "neighbours stay neighbours, but how far apart or large clusters are says nothing"
_MAPS = {
    "pca": "principal components: distances are kept as well as two axes can",
    "tsne": f"t-SNE: {_CLUSTERS}",
    "umap": f"UMAP: {_CLUSTERS}",
}
_GROUPINGS = {
    "components": "those that are linked, directly or through others, by similarities of at least "
    "a threshold",
    "average": "those that join, two groups at a time, while the mean similarity between the two "
    "is at least a threshold",
}
_AGREE = ("agreement: silenced", "agreement: grafted", "agreement: random units")


def circuits_section(title: str, answer: CircuitsAnswer) -> Section:
    """Overviews, maps, then every layer's groups and grafts."""
    details: list[str | Picture] = []
    for layer in answer.layers:
        details += [f"### Circuits of {layer.label}", *_pictures(answer, layer)]
        details += [_group_table(answer, layer), *_graft_table(answer, layer)]
    blocks = (_about(answer), _overview(answer), _means(answer), *_maps(answer), *details)
    labels = [layer.label for layer in answer.layers]
    return Section(
        title, blocks, short=by_layer(_SUMMARY, answer.numbers, labels, _LINES, _FINDINGS)
    )


def _overview(answer: CircuitsAnswer) -> str:
    """How many groups there are and how alike, each beside what chance and no learning give."""
    rows: list[list[Any]] = []
    for layer in answer.layers:
        for role, one in layer.circuits.items():
            row = [layer.label, role, len(one.groups), sum(map(len, one.groups)), len(one.dead)]
            rows.append([*row, one.threshold, one.null, one.null_groups])
    header = ["layer", "network", "groups", "units in them", "dead", "threshold"]
    tables = [markdown_table(rows, [*header, "largest by chance", "groups by chance"])]
    rows = []
    for layer in answer.layers:
        both, label = layer.both, layer.label
        row = [label, _spread(answer, f"untrained_groups{{}}/{label}", ".1f"), both.matched]
        row += [_spread(answer, f"untrained_matched{{}}/{label}", ".1f")]
        row += [_p(answer, f"matched_p/{label}"), both.similarity, both.null]
        row += [_spread(answer, f"untrained_similarity{{}}/{label}", ".3f")]
        rows.append([*row, _p(answer, f"matched_similarity_p/{label}")])
    header = ["layer", "untrained: groups", "matched", "untrained: matched", "p"]
    header += ["mean similarity", "largest by chance", "untrained: similarity", "p of similarity"]
    tables.append(markdown_table(rows, header, right=header[1:]))
    return "\n\n".join(tables)


def _means(answer: CircuitsAnswer) -> str:
    """What groups are worth on the whole: means over a layer's groups, beside random units."""
    rows: list[list[Any]] = []
    for layer in answer.layers:
        if not (means := layer.effects.means(layer.label)):
            continue
        row: list[Any] = [layer.label]
        for role in [*layer.circuits][:2]:
            row.append(means[f"mean_ablated/{role}/{layer.label}"])
            row.append(_spread(answer, f"mean_ablated_random{{}}/{role}/{layer.label}", "%"))
        row += [means[f"mean_{name}_agreement/{layer.label}"] for name in ("silenced", "grafted")]
        row.append(_spread(answer, f"mean_grafted_random_agreement{{}}/{layer.label}", "%"))
        rows.append(row)
    header = ["layer", "silenced in sender", "random", "silenced in receiver", "random units"]
    text = (
        "Means over the groups of a layer: the change in accuracy with a group silenced, beside "
        "random units (± standard deviation over draws), and the agreement with the whole receiver "
        "when a group is silenced, made from the sender's matched group, or made from random units "
        "of the sender."
    )
    header, right = [*header, *_AGREE], ("random", "random units", _AGREE[2])
    percent = [name for name in header[1:] if name not in right]
    return f"{text}\n\n{markdown_table(rows, header, percent, right)}" if rows else ""


def _maps(answer: CircuitsAnswer) -> list[str | Picture]:
    """All groups of all networks on a plane, a panel for each layer."""
    names = {
        layer.label: {role: layer.names(role) for role in layer.circuits} for layer in answer.layers
    }
    return [
        Picture(
            f"map-{kind}",
            point_panels(
                panels, names=names, images={layer.label: layer.seen for layer in answer.layers}
            ),
            "Every point is a group of units; what is near does alike things over the held-out "
            f"images ({_MAPS[kind]}). Points of all networks side by side are circuits that all "
            "have.",
        )
        for kind, panels in answer.maps.items()
        if panels
    ]


def _pictures(answer: CircuitsAnswer, layer: CircuitLayer) -> list[str | Picture]:
    """Groups against groups, and groups against classes."""
    named = {role: names for role in layer.circuits if (names := layer.names(role))}
    if not named:
        return ["No two units are active together."]
    names = [name for own in named.values() for name in own]
    responses = torch.cat([layer.responses[role] for role in named])
    largest = float(responses.abs().nan_to_num(0).max()) or 1.0
    classes = heatmap(
        responses,
        names,
        answer.classes,
        f"{layer.label}: groups by class",
        column_label="class",
        limits=(-largest, largest),
    )
    text = (
        "Mean activation of every group over the held-out images of each class, in standard "
        "deviations of its units: red classes are what it answers to. With labels shuffled the "
        f"largest is {max(layer.chance[role] for role in named):.2f}; the table names classes "
        "above that and 0.5."
    )
    pictures: list[str | Picture] = [
        Picture(f"{layer.label}-classes", classes, text, cells_of(classes))
    ]
    return [_similarities(layer, named), *pictures] if len(named) > 1 else pictures


def _similarities(layer: CircuitLayer, named: dict[str, list[str]]) -> Picture:
    first, *others = named
    values = profile_similarity(
        layer.profiles[first], torch.cat([layer.profiles[role] for role in others])
    )
    columns = [name for role in others for name in named[role]]
    title = f"{layer.label}: similarity of groups"
    figure = heatmap(values, named[first], columns, title, f"groups of the {first}", limits=(-1, 1))
    text = (
        "Correlation over held-out images of what the groups of one network do with what those of "
        "the others do. A row with one red cell is a circuit that both have; a red block is one "
        "that the two have cut up in different ways."
    )
    return Picture(f"{layer.label}-similarity", figure, text, cells_of(figure))


def _group_table(answer: CircuitsAnswer, layer: CircuitLayer) -> str:
    """A row for every group: its units, its partners, its classes, and what silencing it costs."""
    rows: list[list[Any]] = []
    for role, circuits in layer.circuits.items():
        silenced = layer.effects.silenced.get(role, [])
        for i, (name, group) in enumerate(zip(layer.names(role), circuits.groups, strict=True)):
            classes = ", ".join(answer.classes[k] for k in layer.classes(role, i)) or "none"
            row = [role, name, len(group), _listed(group.tolist())]
            row += [_partners(layer, role, i), classes]
            if i < len(silenced):
                key, units = f"{role}/{layer.label}/{i + 1}", silenced[i].units
                random = _spread(answer, f"ablated_random{{}}/{key}", "%")
                fewer = f" (of {units})" if 0 < units < len(group) else ""
                row += [silenced[i].change, random + fewer, _p(answer, f"ablated_p/{key}")]
            else:
                row += [None, None, None]
            rows.append(row)
    header = ["network", "group", "size", "units", "like", "classes"]
    header += ["silenced", "random units", "p"]
    reason = layer.effects.reason
    reason = f"\n\nNothing was silenced: {reason}." if reason else ""
    table = markdown_table(rows, header, ["silenced"], header[-2:]) if rows else ""
    return table + reason


def _spread(answer: CircuitsAnswer, key: str, form: str) -> str:
    """Mean ± standard deviation of what has a spread; the key has braces where the word goes."""
    mean, spread = (answer.numbers[key.format(word)] for word in ("", "_spread"))
    return f"{short_number(mean, form)} ± {short_number(spread, form)}"


def _p(answer: CircuitsAnswer, key: str) -> str:
    return short_number(answer.numbers[key], ".3f")


def _graft_table(answer: CircuitsAnswer, layer: CircuitLayer) -> list[str | Picture]:
    """A row for every matched group that is grafted from the sender into the receiver."""
    if not layer.effects.grafts:
        return []
    sender, receiver, *_ = map(layer.names, layer.circuits)
    rows: list[list[Any]] = []
    for graft in layer.effects.grafts:
        row: list[Any] = [f"{sender[graft.sender]} into {receiver[graft.receiver]}"]
        key = f"{layer.label}/{graft.sender + 1}-{graft.receiver + 1}"
        random = answer.numbers[f"grafted_random_r2/{key}"]
        row += [graft.explained, random, graft.scores["whole"]["accuracy"]]
        for what in ("accuracy", "agreement"):
            row += [graft.scores[name][what] for name in ("silenced", "grafted")]
            row.append(_spread(answer, f"grafted_random_{what}{{}}/{key}", "%"))
        rows.append(row)
    header = ["graft", "r²", "r², random", "receiver", "silenced", "grafted", "random units"]
    text = (
        "The receiver with the units of a group made from the sender's matched group, by least "
        "squares between the two groups alone (r² on training images), beside the receiver as it "
        "is, with the group silenced, and with it made from as many random other units of the "
        "sender, or all of them (mean ± standard deviation over draws). Agreement is the share of "
        "predictions that stay the receiver's own."
    )
    percent = [*header[3:6], *_AGREE[:2]]
    return [text, markdown_table(rows, [*header, *_AGREE], percent, ("random units", _AGREE[2]))]


def _about(answer: CircuitsAnswer) -> str:
    (train, held_out), asked = answer.images, answer.options
    pairs, draws = len(answer.layers[0].untrained), DRAWS
    return (
        "A circuit is a group of two or more units of one layer that are active together over "
        f"{train} training images (means over places): {_GROUPINGS[asked.grouping]}. Similarity "
        f"is the {asked.similarity}{_threshold(asked.threshold)} (*largest by chance*). *Groups "
        "by chance* are those at the same threshold once all units' images are shuffled. Units "
        "that do not vary are dead and in no group.\n\n"
        f"What a group does is the mean of its standardized units on {held_out} held-out images. "
        "Groups of two networks are matched one to one by the correlation of that, where it is "
        "above the largest between groups of shuffled images; in the tables of groups, with more "
        "networks, each with the one network that is most like all. *Untrained* is the same of two "
        "networks with random weights, BatchNorm's statistics counted on training images: likeness "
        f"that needs no learning (mean ± standard deviation over {pairs} pairs). Its *p* is how "
        "often one more such pair would have as much (Crawford & Howell 1998), of all layers "
        "together (Holm 1979).\n\n"
        "*Silenced* is the change in accuracy when all units of a group stay at their mean, "
        f"beside as many random living units of the layer that are not in it ({draws} draws, mean "
        "± standard deviation; where there are no more, once all of them, which is no spread). Its "
        "*p* is how often one more draw would cost as much, of all groups of a layer together. "
        "Edited networks are scored on at most 1000 held-out images, for the eight largest groups."
    )


def _threshold(asked: float | None) -> str:
    chance = "the largest similarity of units whose images are shuffled"
    if asked is None:
        return f", the threshold the one that leaves the most groups, never below {chance}"
    return f", the threshold {asked:g}, as asked; below it there should be {chance}"


def _partners(layer: CircuitLayer, role: str, group: int) -> str:
    partners = []
    for other in layer.circuits:
        if other != role and (partner := layer.partner(role, group, other)):
            partners.append(f"{layer.names(other)[partner[0]]} ({partner[1]:.2f})")
    return ", ".join(partners) or "none"


def _listed(units: list[int], most: int = 12) -> str:
    more = f" and {len(units) - most} more" if len(units) > most else ""
    return ", ".join(map(str, units[:most])) + more
