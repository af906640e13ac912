"""What a report says of two networks' sparse autoencoders."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.questions.dictionaries.matching import Matching
from frankenstein.questions.dictionaries.scores import DictionaryScores
from frankenstein.questions.study import Study
from frankenstein.report import Picture, Section, Short, bars, curves, markdown_table, short_number
from frankenstein.report.image_grid import image_grid

_ROWS, _IMAGES = 8, 6  # pairs of features shown, and images of each
_BLANK = 225  # grey, where a feature is active on fewer images
_NUMBERS = ("explained", "l0", "dead", "agreement", "recovered")
_KINDS = {
    "networks": "the sender's features with the receiver's",
    "two seeds, sender": "two dictionaries of the sender, from other starts and batches: the "
    "ceiling, for what one network's own dictionaries do not share cannot be asked of two",
    "two seeds, receiver": "the same of the receiver",
    "untrained receiver": "the sender's with those of a receiver that has learned nothing: what "
    "the images have in common with themselves",
    "units": "the networks' units themselves, without dictionaries",
}
_SAID = (
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


class Answers(NamedTuple):
    """What was found of a pair of layers."""

    pair: tuple[str, str]
    scores: Mapping[str, DictionaryScores]  # of "sender" and "receiver"
    random: Mapping[str, DictionaryScores]  # likewise, with random directions
    matchings: Mapping[str, Matching]  # of `_KINDS`


def autoencoder_section(
    study: Study, found: Answers, saves: Mapping[str, Callable[[Path], object]]
) -> Section:
    """The section, from what was found."""
    label = study.label(found.pair)
    scores: dict[str, float] = {}
    for side, one in found.scores.items():
        scores |= {f"{what}/{side}/{label}": value for what, value in one.scores.items()}
        random = found.random[side].scores
        for what in ("explained", "accuracy/reconstruction"):
            scores[f"random/{what}/{side}/{label}"] = random[what]
    for kind, matching in found.matchings.items():
        name = kind.replace(", ", "_").replace(" ", "_")
        scores[f"matched/{name}/{label}"] = matching.mean
        scores[f"matched_shuffled/{name}/{label}"] = matching.mean_shuffled
    blocks: tuple[str | Picture, ...] = (
        _about(study, found),
        _accuracy(found),
        _table(found),
        _matching(found),
        _matching_table(found),
        _active(found),
        *_top(study, found),
        "The dictionaries are in `" + "` and `".join(saves) + "`; "
        "`frankenstein.dictionaries.load_dictionary` reads them.",
    )
    return Section("Sparse autoencoders", blocks, scores, _short(found), saves)


def _short(found: Answers) -> Short:
    """Reconstruction of each network, then the matching."""
    rows = []
    for side, one in found.scores.items():
        for said, scores in (
            (side, one.scores),
            ("  random directions", found.random[side].scores),
        ):
            explained, accuracy = scores["explained"], scores["accuracy/reconstruction"]
            rows.append([said, short_number(explained, "%"), short_number(accuracy, "%"), ""])
        rows.append(["  network itself", "", short_number(one.scores["accuracy/network"], "%"), ""])
    for kind, matching in found.matchings.items():
        said = "matched features" if kind == "networks" else f"  {kind}"
        rows.append([said, "", "", short_number(matching.mean, ".2f")])
        if kind == "networks":
            chance = short_number(matching.mean_shuffled, ".2f")
            rows.append(["  images shuffled", "", "", chance])
    header = ["/".join(dict.fromkeys(found.pair)), "explained", "accuracy", "correlation"]
    return Short(_SAID, header, rows)


def _about(study: Study, found: Answers) -> str:
    options, (one, other) = study.options, found.pair
    features = len(found.scores["receiver"].active)
    sparse = (
        f"the {options['k']} largest at a place"
        if options["l1"] is None
        else (f"ReLU and an L1 penalty of {options['l1']:g}")
    )
    kinds = "\n".join(f"- *{kind}*: {about};" for kind, about in _KINDS.items())
    return (
        f"A dictionary of each network rebuilds the units of a place of its layer (`{one}` of the "
        f"sender, `{other}` of the receiver) from a few of {features} features, by {sparse}. They "
        f"are trained on training images in {options['steps']} steps at most; every number is "
        f"over {len(study.val)} held-out images. With several pairs of layers to choose from it "
        "is the middle one; name layers to ask of others.\n\n"
        "*Explained* is the share of the layer's variance that the reconstruction has, *l0* the "
        "features active at a place, *dead* the share never active, *agreement* the share of "
        "images whose answer stays as it was, *recovered* where the loss lies between the layer's "
        "mean (0) and the network's own (1).\n\n"
        "Features are matched one to one by the correlation over images of how active they are on "
        f"average over places, and so are, to hold this against:\n\n{kinds}\n"
        "- *shuffled*: each of these with the images of one side shuffled: what the best of many "
        "pairs reaches by chance."
    )


def _accuracy(found: Answers) -> Picture:
    groups = {
        side: {
            "network": one.scores["accuracy/network"],
            "reconstruction": one.scores["accuracy/reconstruction"],
            "random": found.random[side].scores["accuracy/reconstruction"],
            "mean": one.scores["accuracy/mean"],
        }
        for side, one in found.scores.items()
    }
    return Picture("accuracy", bars(groups, y_label="held-out accuracy"), _CAPTIONS["accuracy"])


def _table(found: Answers) -> str:
    rows = [
        [side, name, *(one.scores[what] for what in _NUMBERS)]
        for side in found.scores
        for name, one in (("trained", found.scores[side]), ("random", found.random[side]))
    ]
    return markdown_table(rows, ["network", "dictionary", *_NUMBERS])


def _matching(found: Answers) -> Picture:
    lines = {kind: one.correlations for kind, one in found.matchings.items()}
    lines["shuffled"] = found.matchings["networks"].shuffled.mean(0)
    figure = curves(
        {kind: (_shares(values), values) for kind, values in lines.items()},
        x_label="share of pairs",
        y_label="correlation",
        controls=["shuffled"],
    )
    return Picture("matching", figure, _CAPTIONS["matching"])


def _matching_table(found: Answers) -> str:
    rows = [
        [kind, len(one.pairs), one.mean, one.mean_shuffled] for kind, one in found.matchings.items()
    ]
    return markdown_table(rows, ["matched", "pairs", "mean correlation", "shuffled"])


def _active(found: Answers) -> Picture:
    lines = {
        side: one.active.cpu().sort(descending=True).values for side, one in found.scores.items()
    }
    figure = curves(
        {side: (_shares(values), values) for side, values in lines.items()},
        x_label="share of features",
        y_label="share of places where active",
    )
    return Picture("active", figure, _CAPTIONS["active"])


def _top(study: Study, found: Answers) -> list[Picture]:
    """The images of the best matched features, if there are any."""
    matching = found.matchings["networks"]
    pairs = matching.pairs[:_ROWS]
    names = [
        f"{one} ~ {other}, r {value:.2f}"
        for (one, other), value in zip(pairs.tolist(), matching.correlations.tolist(), strict=False)
    ]
    blocks = {
        name: _images(study, one, pairs[:, i]) for i, (name, one) in enumerate(found.scores.items())
    }
    return [Picture("top", image_grid(blocks, names), _CAPTIONS["top"])] if names else []


def _images(
    study: Study, scores: DictionaryScores, features: Tensor
) -> Tensor:  # (R, K, C, H, W), uint8
    examples = scores.top_examples.cpu()[features, :_IMAGES]
    active = scores.top_strengths.cpu()[features, :_IMAGES] > 0
    images = study.pictures("val", examples.flatten()).unflatten(0, examples.shape)
    return torch.where(active[:, :, None, None, None], images, torch.tensor(_BLANK).to(images))


def _shares(values: Tensor) -> Tensor:
    """Ranks from 0 to 1, so that lines of different lengths can be compared."""
    return torch.linspace(0, 1, len(values))
