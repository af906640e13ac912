"""Running sums of what networks answer, on the device where they answer."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.intervals import share_interval
from frankenstein.labels import label_loss, several
from frankenstein.measures import agreement, cross_entropy_between, hits_table, jensen_shannon

# Of a network against a reference network, in the order of `hits_table`.
HITS = ("both_wrong", "only_receiver_right", "only_it_right", "both_right")


class Tally:
    """Sums over examples of one network's answers against labels and a reference's answers.

    Where images have several labels, each is a question by itself, with the answers no and yes.
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
        self.n += labels.numel()
        self.images += len(labels)
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
    tally = Tally()
    for images, labels in batches:
        tally.update(network(images.to(device)), labels.to(device))
    means = tally.means()
    low, high = share_interval(means["accuracy"], tally.images)
    return means | {"n": tally.images, "accuracy_low": low, "accuracy_high": high}


def _answers(
    logits: Tensor,  # (N, C)
    labels: Tensor,
) -> Tensor:  # (N, C); of several labels (N, C, 2)
    """Logits with the classes of one question on the last axis."""
    # The logit of a yes is against a no of 0.
    return torch.stack([torch.zeros_like(logits), logits], -1) if several(labels) else logits
