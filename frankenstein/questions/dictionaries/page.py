"""What a report says of two networks' sparse autoencoders."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from frankenstein.dictionaries import save_dictionary
from frankenstein.questions.dictionaries.answer import AutoencoderAnswer
from frankenstein.report import (
    Picture,
    Section,
    Short,
    bars,
    code,
    curves,
    format_value,
    markdown_table,
    short_number,
)
from frankenstein.report.image_grid import image_grid

_NUMBERS = ("explained", "l0", "dead", "agreement", "recovered")
_KINDS = {  # of matchings: what tables call them, and what they are
    "networks": ("networks", "the sender's features with the receiver's"),
    "two_seeds_sender": (
        "two seeds, sender",
        "two dictionaries of the sender, from other starts and batches: the ceiling, for what one "
        "network's own dictionaries do not share cannot be asked of two",
    ),
    "two_seeds_receiver": ("two seeds, receiver", "the same of the receiver"),
    "units": ("units", "the networks' units themselves, without dictionaries"),
}
_UNTRAINED = "untrained receiver"
_CARRIED = {  # dictionaries on the receiver: what tables call them, and what they are
    "random": ("random", "random directions"),
    "own": ("receiver's own", "the same after all steps"),
    "carried": ("carried", "the sender's, before any step on the receiver"),
    "trained": ("carried, trained", "the same after all steps"),
    "raw": ("as it is", "the sender's without maps, at the receiver's mean and scale"),
    "untrained": ("carried from untrained", "that of an untrained receiver, by maps of its own"),
}
_SUMMARY = (
    "Share of a layer's variance that its sparse features explain, and accuracy with what they "
    "rebuild in the layer's place; correlation of the networks' features, matched one to one."
)
_CAPTIONS = {
    "accuracy": "Held-out accuracy with the reconstruction in the layer's place. Between "
    "*network*, its own, and *mean*, which puts the layer's mean in the place of every image's; "
    "*random* is a dictionary of the same size with random directions.",
    "matching": "Correlations of matched features, the best pair first, over the share of pairs. "
    "*Networks* says something where it is above *shuffled*, its own matching with the images "
    "shuffled, and above *untrained receiver*; it cannot be asked to be above *two seeds*. "
    "Fewer units than features are matched, so *units* has less of a tail.",
    "active": "How often each feature is active, the most frequent first. Share of places of held-"
    "out images. A step that ends at 0 are dead features; a few at 1 are not sparse.",
    "top": "Images that activate matched features most. Each row is a pair of features, the "
    "best matched first, with the correlation over held-out images of how active they are; grey "
    "where a feature is active on fewer. Alike rows say that both networks look for alike things; "
    "these are the best pairs, and the others are less alike.",
}


def autoencoder_section(title: str, answer: AutoencoderAnswer) -> Section:
    """Figures, tables, and the dictionaries as files."""
    saves = {
        f"dictionary-{role}.safetensors": partial(
            save_dictionary,
            dictionary=one.dictionary,
            facts={"network": one.network, "layer": one.layer},
        )
        for role, one in answer.dictionaries.items()
    }
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        _accuracy(answer),
        _table(answer),
        _matching(answer),
        _matching_table(answer),
        _carried(answer),
        _active(answer),
        *_top(answer),
        "The dictionaries are in `" + "` and `".join(saves) + "`; "
        "`frankenstein.dictionaries.load_dictionary` reads them.",
    )
    return Section(title, blocks, short=_short(answer), saves=saves)


def _short(answer: AutoencoderAnswer) -> Short:
    """Reconstruction of each network, then the matching."""
    rows = []
    for role, one in answer.dictionaries.items():
        for name, scores in ((role, one.scores.scores), ("  random directions", one.random.scores)):
            explained, accuracy = scores["explained"], scores["accuracy/reconstruction"]
            rows.append([name, short_number(explained, "%"), short_number(accuracy, "%"), ""])
        whole = short_number(one.scores.scores["accuracy/network"], "%")
        rows.append(["  network itself", "", whole, ""])
    for kind, matching in answer.matchings.items():
        name = "matched features" if kind == "networks" else f"  {_KINDS[kind][0]}"
        rows.append([name, "", "", short_number(matching.mean, ".2f")])
        if kind == "networks":
            chance = short_number(matching.mean_shuffled, ".2f")
            rows.append(["  images shuffled", "", "", chance])
            rows.append([f"  {_UNTRAINED}", "", "", _untrained(answer, ".2f")])
            rows.append(["  p", "", "", short_number(_p(answer), ".3f")])
    layers = dict.fromkeys(one.layer for one in answer.dictionaries.values())
    header = ["/".join(layers), "explained", "accuracy", "correlation"]
    (role, first), *_ = answer.dictionaries.items()
    share = short_number(first.scores.scores["explained"], "%")
    found = (
        f"Sparse features explain {share} of the variance of the {role}'s {first.layer}; those "
        "of both networks, matched one to one, correlate by "
        f"{short_number(answer.matchings['networks'].mean, '.2f')}, with an untrained receiver's "
        f"by {_untrained(answer, '.2f')}."
    )
    return Short(_SUMMARY, header, rows, found)


def _about(answer: AutoencoderAnswer) -> str:
    layers = ", ".join(f"{code(one.layer)} of the {r}" for r, one in answer.dictionaries.items())
    (*_, last), asked = answer.dictionaries.values(), answer.options
    sparse = (
        f"the {asked.k} largest at a place"
        if asked.l1 is None
        else f"ReLU and an L1 penalty of {asked.l1:g}"
    )
    kinds = "\n".join(f"- *{name}*: {about};" for name, about in _KINDS.values())
    return (
        f"A dictionary of each network rebuilds the units of a place of its layer ({layers}) from "
        f"a few of {len(last.scores.active)} features, by {sparse}. They are trained on training "
        f"images in {asked.steps} steps at most; every number is over {answer.images} held-out "
        "images. With several pairs of layers to choose from it is the middle one; name layers to "
        "ask of others.\n\n"
        "*Explained* is the share of the layer's variance that the reconstruction has, *l0* the "
        "features active at a place, *dead* the share never active, *agreement* the share of "
        "images whose answer stays as it was, *recovered* where the loss lies between the layer's "
        "mean (0) and the network's own (1).\n\n"
        "Features are matched one to one by the correlation over images of how active they are on "
        f"average over places. These are matched likewise, to hold that against:\n\n{kinds}\n"
        f"- *{_UNTRAINED}*: the sender's with those of a receiver that has learned nothing, "
        "BatchNorm's statistics counted on training images: what the images have in common with "
        f"themselves; mean ± standard deviation over {len(answer.untrained)} of them. *p* is how "
        "often one more of them would match as well (Crawford & Howell 1998);\n"
        "- *shuffled*: each of these with the images of one side shuffled: what the best of many "
        "pairs reaches by chance."
    )


def _accuracy(answer: AutoencoderAnswer) -> Picture:
    groups = {
        role: {
            "network": one.scores.scores["accuracy/network"],
            "reconstruction": one.scores.scores["accuracy/reconstruction"],
            "random": one.random.scores["accuracy/reconstruction"],
            "mean": one.scores.scores["accuracy/mean"],
        }
        for role, one in answer.dictionaries.items()
    }
    return Picture("accuracy", bars(groups, y_label="held-out accuracy"), _CAPTIONS["accuracy"])


def _table(answer: AutoencoderAnswer) -> str:
    rows = [
        [role, name, *(scores[what] for what in _NUMBERS)]
        for role, one in answer.dictionaries.items()
        for name, scores in (("trained", one.scores.scores), ("random", one.random.scores))
    ]
    return markdown_table(rows, ["network", "dictionary", *_NUMBERS])


def _matching(answer: AutoencoderAnswer) -> Picture:
    lines = {_KINDS[kind][0]: one.correlations for kind, one in answer.matchings.items()}
    lines[_UNTRAINED] = answer.untrained[0].correlations
    lines["shuffled"] = answer.matchings["networks"].shuffled.mean(0)
    return _ranked("matching", lines, "share of pairs", "correlation")


def _matching_table(answer: AutoencoderAnswer) -> str:
    rows = [
        [_KINDS[kind][0], len(one.pairs), format_value(one.mean), one.mean_shuffled, ""]
        for kind, one in answer.matchings.items()
    ]
    rows[0][-1] = short_number(_p(answer), ".3f")
    chance = answer.numbers[f"matched_shuffled/untrained_receiver/{answer.label}"]
    pairs = len(answer.untrained[0].pairs)
    rows.append([_UNTRAINED, pairs, _untrained(answer, ".4f"), chance, ""])
    header = ["matched", "pairs", "mean correlation", "shuffled", "p"]
    return markdown_table(rows, header, right=header[2:])


def _carried(answer: AutoencoderAnswer) -> str:
    """The sender's dictionary on the receiver, beside the receiver's own."""
    if not answer.carried:
        return "No dictionary is carried: the two layers cannot be laid alike."
    receiver = [*answer.dictionaries.values()][-1]
    found = {"random": receiver.random, "own": receiver.scores, **answer.carried}
    rows = [
        [_CARRIED[name][0], *(found[name].scores[what] for what in _NUMBERS)]
        for name in _CARRIED
        if name in found
    ]
    words = "\n".join(f"- *{name}*: {about};" for name, about in _CARRIED.values())
    table = markdown_table(rows, ["dictionary of the receiver", *_NUMBERS])
    return (
        "The sender's dictionary *carried* to the receiver (Chen et al. 2025, "
        "https://arxiv.org/abs/2506.06609): it reads places by the map of least squares from "
        "receiver to sender and writes by that from sender to receiver.\n\n"
        f"{table}\n\n{words}"
    )


def _untrained(answer: AutoencoderAnswer, form: str) -> str:
    """Mean ± standard deviation over untrained receivers."""
    keys = ("matched", "matched_spread")
    place = f"untrained_receiver/{answer.label}"
    return " ± ".join(short_number(answer.numbers[f"{key}/{place}"], form) for key in keys)


def _p(answer: AutoencoderAnswer) -> float:
    return answer.numbers[f"matched_p/{answer.label}"]


def _active(answer: AutoencoderAnswer) -> Picture:
    lines = {
        role: one.scores.active.cpu().sort(descending=True).values
        for role, one in answer.dictionaries.items()
    }
    return _ranked("active", lines, "share of features", "share of places where active")


def _ranked(name: str, lines: Mapping[str, Tensor], x_label: str, y_label: str) -> Picture:
    """Ranks go from 0 to 1, so that lines of different lengths can be compared."""
    points = {line: (torch.linspace(0, 1, len(y)), y) for line, y in lines.items()}
    figure = curves(points, x_label=x_label, y_label=y_label, controls=["shuffled"])
    return Picture(name, figure, _CAPTIONS[name])


def _top(answer: AutoencoderAnswer) -> list[Picture]:
    """The images of the best matched features, if there are any."""
    if not answer.pictures:
        return []
    matching = answer.matchings["networks"]
    names = [
        f"{one} ~ {other}, r {value:.2f}"
        for (one, other), value, *_ in zip(
            matching.pairs.tolist(),
            matching.correlations.tolist(),
            *answer.pictures.values(),
            strict=False,
        )
    ]
    return [Picture("top", image_grid(answer.pictures, names), _CAPTIONS["top"])] if names else []
