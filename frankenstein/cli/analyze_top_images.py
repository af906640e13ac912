"""The images that units answer to most, two networks side by side."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frankenstein.cli.analyze_study import Study
from frankenstein.compare.activation_facts import ActivationSums
from frankenstein.compare.unit_orders import assign
from frankenstein.measures import correlation_matrix
from frankenstein.moments import Moments
from frankenstein.report import Picture
from frankenstein.report.image_grid import image_grid

IMAGES = 6  # in each row, for each network
_UNITS = 8  # rows
_BLANK = 225  # grey, of images that a dead unit does not have
_TOP = (
    "Images that activate units of the sender's {one} most, beside those of their likes in the "
    "receiver's {other}. Each row: the {images} held-out images of the largest value over places "
    "of a unit of the sender (left) and of its like (right). Pairs are the one-to-one matching of "
    "largest total correlation over images, shown from the most to the least alike at even "
    "distances; r is a pair's correlation, its mean over all pairs {mean}, and {chance} in two "
    "untrained networks that were matched likewise. Rows that show the same kind of picture on "
    "both sides are units that look for the same."
)


def top_images(
    study: Study,
    sums: Mapping[tuple[str, str], ActivationSums],  # by whose network and layer
    pair: tuple[str, str],
) -> Picture:
    """Units of the sender beside their likes in the receiver, by the images they answer to."""
    sample, keys = study.val, (("sender", pair[0]), ("receiver", pair[1]))
    matched, alike = _likes(sample.sender[pair[0]], sample.receiver[pair[1]])
    control = (sample.of[f"untrained_{whose}"][layer] for whose, layer in keys)
    mean, chance = float(alike.mean()), float(_likes(*control)[1].mean())
    best = alike.round(decimals=9).argsort(descending=True, stable=True)
    shown = best[torch.linspace(0, len(best) - 1, min(_UNITS, len(best))).round().long()]
    blocks = {}
    for side, key, name in zip(matched[:, shown], keys, ("sender", "receiver"), strict=True):
        rows = sums[key].top.rows
        assert rows is not None
        images = study.pictures("val", rows[side].flatten()).unflatten(0, (len(side), -1))
        images[sums[key].result().dead_units.cpu()[side]] = _BLANK
        blocks[name] = images
    names = [
        f"{i}, {j}: r {r:.2f}"
        for (i, j), r in zip(matched[:, shown].T.tolist(), alike[shown].tolist(), strict=True)
    ]
    caption = _TOP.format(
        images=IMAGES, one=pair[0], other=pair[1], mean=f"{mean:.2f}", chance=f"{chance:.2f}"
    )
    name = f"top-{study.label(pair)}".replace("/", "-")
    return Picture(name, image_grid(blocks, names), caption)


def _likes(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # (2, K), (K,)
    """The one-to-one matching of units of largest total correlation; dead ones correlate 0."""
    correlation = correlation_matrix(Moments().update(x, y)).nan_to_num(0).cpu()
    turned = len(correlation) > correlation.shape[1]
    theirs = assign(correlation.T if turned else correlation)
    pairs = torch.stack([torch.arange(len(theirs)), theirs])
    pairs = pairs.flip(0) if turned else pairs
    return pairs, correlation[pairs[0], pairs[1]]
