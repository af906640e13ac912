"""Warnings of a network that learned nothing: it is no better than one answer for all."""

from collections.abc import Mapping

from frankenstein.intervals import share_interval
from frankenstein.report.tables import format_value

_TRAIN = "train it for more epochs, with another learning rate, or by adam"


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
