"""The images that units answer to most, two networks side by side."""

from collections.abc import Mapping

import torch
from torch import Tensor

from frankenstein.accumulators.moments import Moments
from frankenstein.measures import correlation_matrix
from frankenstein.questions.activations.answer import TopImages
from frankenstein.questions.activations.facts import ActivationFacts, ActivationSums
from frankenstein.questions.merging.unit_orders import assign
from frankenstein.questions.subject import Pair, Subject

IMAGES = 6  # in each row, for each network
_UNITS = 8  # rows
_BLANK = 225  # grey, of images that a dead unit does not have


def top_images(
    subject: Subject,
    sums: Mapping[str, Mapping[str, ActivationSums]],  # by role and layer
    facts: Mapping[str, Mapping[str, ActivationFacts]],  # likewise
    pair: Pair,
) -> TopImages:
    """Units of the sender beside their partners in the receiver, by the images they answer to.

    Partners come from the one-to-one matching of largest total correlation over images. Those shown
    are spread evenly from the most to the least alike pair.
    """
    sides = subject.sender, subject.receiver
    matched, alike = _partners(*(subject.rows("val", one, pair) for one in sides))
    control = _partners(*(subject.rows("val", one, pair) for one in subject.untrained))[1]
    best = alike.round(decimals=9).argsort(descending=True, stable=True)
    shown = best[torch.linspace(0, len(best) - 1, min(_UNITS, len(best))).round().long()]
    images = []
    for units, network in zip(matched[:, shown], sides, strict=True):
        layer = subject.layer_of(network, pair)
        rows = sums[network.role][layer].top.rows
        assert rows is not None
        pictures = subject.pictures("val", rows[units].flatten()).unflatten(0, (len(units), -1))
        pictures[facts[network.role][layer].dead_units.cpu()[units]] = _BLANK
        images.append(pictures)
    return TopImages(
        matched[:, shown],
        alike[shown],
        (images[0], images[1]),
        float(alike.mean()),
        float(control.mean()),
    )


def _partners(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:  # (2, K), (K,)
    """The one-to-one matching of units of largest total correlation; dead ones correlate 0."""
    correlation = correlation_matrix(Moments().update(x, y)).nan_to_num(0).cpu()
    wide = len(correlation) > correlation.shape[1]
    theirs = assign(correlation.T if wide else correlation)
    pairs = torch.stack([torch.arange(len(theirs)), theirs])
    pairs = pairs.flip(0) if wide else pairs
    return pairs, correlation[pairs[0], pairs[1]]
