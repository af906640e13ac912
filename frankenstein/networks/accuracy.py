"""How often networks are right, and warnings of those that have learned nothing."""

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.data.examples import called
from frankenstein.data.loaders import check_batches
from frankenstein.errors import UserError
from frankenstein.intervals import share_interval
from frankenstein.labels import asked_for, by_token, label_loss, most_frequent, several
from frankenstein.measures import agreement, cross_entropy_between, hits_table, jensen_shannon
from frankenstein.networks.answer import logits_of
from frankenstein.networks.data import answers_to, look_of
from frankenstein.networks.network import Network
from frankenstein.report.progress import progress
from frankenstein.report.tables import format_value

_TRAIN = "train it for more epochs, with another learning rate, or by adam"
_SEES = (
    "say how it sees images, by `normalize` and `size` or by `preprocessing` beside its code, or "
)
# Of a network against a reference network, in the order of `hits_table`.
HITS = ("both_wrong", "only_receiver_right", "only_it_right", "both_right")


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
    networks = [network for network in networks if answers_to(network, data)]
    if not networks:
        return {}
    # Copies, and not channels-last: a network may ask how its tensors lie (`x.view(len(x), -1)`).
    asked = {network.role: copy.deepcopy(network.module).to(device) for network in networks}
    looks = {network.role: look_of(network, data) for network in networks}
    tallies = {role: Tally() for role in asked}
    title = f"evaluating {' and '.join(asked)}"
    with torch.no_grad():
        for images, labels in progress(data.val_batches(most), title, quiet):
            images, labels = images.to(device), labels.to(device)
            for role, module in asked.items():
                look = looks[role]
                seen = images if look is None else look(images)
                tallies[role].update(logits_of(called(module, seen)), labels)
    means = {role: tally.means() for role, tally in tallies.items()}
    accuracies = {role: one["accuracy"] for role, one in means.items()}
    accuracies["most_frequent"] = most_frequent(data.val_labels)
    numbers = {f"accuracy/{role}": value for role, value in accuracies.items()}
    if by_token(data.val_labels):
        numbers |= {f"perplexity/{role}": math.exp(one["loss"]) for role, one in means.items()}
    return numbers


def accuracy_line(
    scores: Mapping[str, float],
    examples: int,
    dataset: str | None,
    networks: Mapping[str, Mapping[str, Any]] = {},
    called: str = "images",
) -> str:
    """What the terminal shows of them, and a warning for each network that learned nothing.

    >>> accuracy_line({"accuracy/sender": 0.5, "cka": 0.1}, 60, "digits")
    'accuracy, measured on 60 held-out images of digits: sender 50.00 %'
    """
    accuracies = [
        f"{key.removeprefix('accuracy/')} {format_value(value, percent=True)}"
        for key, value in scores.items()
        if key.startswith("accuracy/") and key != "accuracy/most_frequent"
    ]
    perplexities = [
        f"{key.removeprefix('perplexity/')} {value:.3f}"
        for key, value in scores.items()
        if key.startswith("perplexity/")
    ]
    measured = f"measured on {examples} held-out {called} of {dataset}"
    why = "there are no labels that these networks answer with"
    line = f"accuracy, {measured}: {', '.join(accuracies) or f'n/a, for {why}'}"
    line += f"; perplexity of a token: {', '.join(perplexities)}" if perplexities else ""
    return "\n".join(
        [line, *(f"warning: {text}" for text in below_chance_warnings(scores, examples, networks))]
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


def chance_advice(network: Mapping[str, Any]) -> str:
    """What to do about a network at chance, by its record: one from outside may see wrongly."""
    outside = "dataset" in network and network["dataset"] is None and network.get("image_size")
    return f"{_SEES if outside else ''}take the data set that it was trained on, or {_TRAIN}"


def below_chance_warnings(
    numbers: Mapping[str, float], images: int, networks: Mapping[str, Mapping[str, Any]] = {}
) -> list[str]:
    """A line for a sender and for a receiver that learned nothing.

    `numbers` have "accuracy/sender" and so on, and "accuracy/most_frequent" of the best answer that
    is always the same; nothing is said of what is not there. `networks` are the records of those
    that are known, by role.
    """
    if "accuracy/most_frequent" not in numbers:
        return []
    chance = numbers["accuracy/most_frequent"]
    there = [role for role in ("sender", "receiver") if f"accuracy/{role}" in numbers]
    return [
        line
        for role in there
        for advice in [chance_advice(networks.get(role, {}))]
        for line in below_chance_warning(numbers[f"accuracy/{role}"], chance, images, role, advice)
    ]


class Tally:
    """Sums over examples of one network's answers against labels and a reference's answers.

    Where images have several labels, each is a question by itself, with the answers no and yes.
    Where sentences have a label for each token, each token is a question, and sentences are what
    is counted for intervals: tokens of one sentence are not asked independently.
    """

    def __init__(self) -> None:
        self.n = 0  # questions
        self.images = 0
        self._sums: dict[str, Tensor | float] = {}

    def update(
        self,
        logits: Tensor,  # (N, C)
        labels: Tensor,  # (N,) classes, or (N, C) of 0 and 1
        reference: Tensor | None = None,  # (N, C), logits of the network to be like
    ) -> Tensor:  # in the shape of the labels, bool
        """Add a batch; returns where the answers are right."""
        self.images += len(labels)
        if reference is not None:
            reference, _ = asked_for(reference, labels)
        logits, labels = asked_for(logits, labels)
        self.n += labels.numel()
        self._add("loss", label_loss(logits, labels, reduction="sum"))
        answers, classes = _answers(logits, labels), labels.long()
        right = answers.argmax(-1) == classes
        self._add("accuracy", right.sum())
        if reference is None:
            return right
        wanted = _answers(reference, labels)
        self._add("agreement", agreement(answers, wanted).sum())
        self._add("cross_entropy", cross_entropy_between(answers, wanted).sum())
        self._add("jensen_shannon", jensen_shannon(answers, wanted).sum())
        for name, count in zip(HITS, hits_table(answers, wanted, classes).flatten(), strict=True):
            self._add(name, count)
        return right

    def means(self) -> dict[str, float]:
        """Every sum per example.

        Raises:
            UserError: if there was none.
        """
        if not self.n:
            raise UserError("no examples were given; is the data set empty?")
        return {name: float(total) / self.n for name, total in self._sums.items()}

    def _add(self, name: str, amount: Tensor) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + amount.double()


@torch.no_grad()
def evaluate_network(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Accuracy and loss (cross entropy in nats; ln 10 for ten classes of chance) of a network.

    With "n", the images, and "accuracy_low" to "accuracy_high", a 95 % interval. The network lies
    on `device`, in evaluation mode.
    """
    check_batches(batches)
    tally, next_tokens = Tally(), False
    for images, labels in batches:
        tally.update(logits_of(called(network, images.to(device))), labels.to(device))
        next_tokens = by_token(labels)
    means = tally.means()
    means |= {"perplexity": math.exp(means["loss"])} if next_tokens else {}
    low, high = share_interval(means["accuracy"], tally.images)
    return means | {"n": tally.images, "accuracy_low": low, "accuracy_high": high}


def _answers(
    logits: Tensor,  # (N, C)
    labels: Tensor,
) -> Tensor:  # (N, C); of several labels (N, C, 2)
    """Logits with the classes of one question on the last axis."""
    # The logit of a yes is against a no of 0.
    return torch.stack([torch.zeros_like(logits), logits], -1) if several(labels) else logits
