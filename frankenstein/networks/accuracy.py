"""How often the networks of a run are right, whatever else is asked of them."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from frankenstein.data import ImageData
from frankenstein.labels import most_frequent
from frankenstein.networks.doubts import unlearned
from frankenstein.networks.label_checks import answers_to
from frankenstein.networks.tally import Tally
from frankenstein.report import format_value
from frankenstein.report.progress import progress


def accuracies(
    networks: Mapping[str, nn.Module],  # by whose they are, in evaluation mode
    cards: Mapping[str, Mapping[str, Any]],  # likewise, as of `cards_of`
    data: ImageData,
    device: torch.device,
    quiet: bool,
    most: int | None = None,  # images
) -> dict[str, float]:
    """{"accuracy/sender": ...} on held-out images, all networks in one pass of their own.

    And "accuracy/most_frequent", of the best answer to all held-out images that is always the same.

    Networks that tell other classes apart than the data have, or answer with one class where these
    have several labels, or the other way round, are left out: they cannot be right.
    """
    asked = {
        # Convolutions take two thirds of their time so, and the network itself is left alone.
        whose: copy.deepcopy(network).to(device).to(memory_format=torch.channels_last)
        for whose, network in networks.items()
        if answers_to(data, cards[whose]["num_classes"], cards[whose]["dataset"])
    }
    if not asked:
        return {}
    tallies = {whose: Tally() for whose in asked}
    called = f"evaluating {' and '.join(asked)}"
    with torch.no_grad():
        for images, labels in progress(data.val_batches(most), called, quiet):
            images, labels = images.to(device), labels.to(device)
            for whose, network in asked.items():
                tallies[whose].update(network(images), labels)
    found = {whose: tally.means()["accuracy"] for whose, tally in tallies.items()}
    found["most_frequent"] = most_frequent(data.val_labels)
    return {f"accuracy/{whose}": value for whose, value in found.items()}


def accuracy_line(scores: Mapping[str, float], examples: int, dataset: str | None) -> str:
    """What the terminal shows of them, and a line on each network that learned nothing.

    >>> accuracy_line({"accuracy/sender": 0.5, "cka": 0.1}, 60, "digits")
    'accuracy, measured on 60 held-out images of digits: sender 50.00 %'
    """
    found = [
        f"{key.removeprefix('accuracy/')} {format_value(value, percent=True)}"
        for key, value in scores.items()
        if key.startswith("accuracy/") and key != "accuracy/most_frequent"
    ]
    measured = f"measured on {examples} held-out images of {dataset}"
    said = f"accuracy, {measured}: {', '.join(found) or 'n/a, for its classes are others'}"
    return "\n".join([said, *(f"warning: {line}" for line in unlearned(scores, examples))])
