"""How often the networks of a run are right, whatever else is asked of them."""

import copy
from collections.abc import Iterable, Mapping

import torch

from frankenstein.data import ImageData
from frankenstein.intervals import share_interval
from frankenstein.labels import most_frequent
from frankenstein.networks.data import answers_to
from frankenstein.networks.network import Network
from frankenstein.networks.tally import Tally
from frankenstein.report.progress import progress
from frankenstein.report.tables import format_value

_TRAIN = "train it for more epochs, with another learning rate, or by adam"


def network_accuracy(
    networks: Iterable[Network],
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
        network.role: copy.deepcopy(network.module).to(device).to(memory_format=torch.channels_last)
        for network in networks
        if answers_to(network, data)
    }
    if not asked:
        return {}
    tallies = {role: Tally() for role in asked}
    title = f"evaluating {' and '.join(asked)}"
    with torch.no_grad():
        for images, labels in progress(data.val_batches(most), title, quiet):
            images, labels = images.to(device), labels.to(device)
            for role, module in asked.items():
                tallies[role].update(module(images), labels)
    accuracies = {role: tally.means()["accuracy"] for role, tally in tallies.items()}
    accuracies["most_frequent"] = most_frequent(data.val_labels)
    return {f"accuracy/{role}": value for role, value in accuracies.items()}


def accuracy_line(scores: Mapping[str, float], examples: int, dataset: str | None) -> str:
    """What the terminal shows of them, and a warning for each network that learned nothing.

    >>> accuracy_line({"accuracy/sender": 0.5, "cka": 0.1}, 60, "digits")
    'accuracy, measured on 60 held-out images of digits: sender 50.00 %'
    """
    accuracies = [
        f"{key.removeprefix('accuracy/')} {format_value(value, percent=True)}"
        for key, value in scores.items()
        if key.startswith("accuracy/") and key != "accuracy/most_frequent"
    ]
    measured = f"measured on {examples} held-out images of {dataset}"
    line = f"accuracy, {measured}: {', '.join(accuracies) or 'n/a, for its classes are others'}"
    return "\n".join(
        [line, *(f"warning: {text}" for text in below_chance_warnings(scores, examples))]
    )


def below_chance_warning(
    accuracy: float,
    most_frequent: float,  # accuracy of the best answer that is always the same
    images: int,
    role: str = "network",
    advice: str = _TRAIN,
) -> list[str]:
    """A line if a network is not clearly above an answer that is always the same."""
    if share_interval(accuracy, images)[0] > most_frequent:
        return []
    network, always = (format_value(one, percent=True) for one in (accuracy, most_frequent))
    return [
        f"the {role} ({network}) is not clearly above the most frequent answer ({always}): it "
        f"has learned nothing that shows; {advice}"
    ]


def below_chance_warnings(numbers: Mapping[str, float], images: int) -> list[str]:
    """A line for a sender and for a receiver that learned nothing.

    `numbers` have "accuracy/sender" and so on, and "accuracy/most_frequent" of the best answer that
    is always the same; nothing is said of what is not there.
    """
    if "accuracy/most_frequent" not in numbers:
        return []
    chance = numbers["accuracy/most_frequent"]
    there = [role for role in ("sender", "receiver") if f"accuracy/{role}" in numbers]
    advice = f"take the data set that it was trained on, or {_TRAIN}"
    return [
        line
        for role in there
        for line in below_chance_warning(numbers[f"accuracy/{role}"], chance, images, role, advice)
    ]
