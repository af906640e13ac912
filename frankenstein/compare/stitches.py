"""How well grafted networks do, and how like the receiver they are in deed and inside."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.catalog import MEASURES
from frankenstein.moments import Moments
from frankenstein.surgery import Cut


@torch.no_grad()
def evaluate_stitches(
    sender: Cut,
    receiver: Cut,
    stitches: Mapping[str, nn.Module],
    batches: Iterable[tuple[Tensor, Tensor]],
    measures: Sequence[str] = ("unbiased_cka", "linear_cka", "mean_cca"),
    device: torch.device | str = "cpu",
) -> dict[str, float]:
    """Sender, receiver and every stitch between them, on the same examples, in one pass.

    Each half network runs once a batch. The keys of the answer are `<what>/<whose>`: "accuracy" and
    "loss" (cross entropy, nats) of "sender", "receiver" and every stitch; and for every stitch
    "relative_accuracy" (over the receiver's), "stitching_penalty" (error above the receiver's),
    "agreement" (share of predictions equal to the receiver's), and each measure of stitched
    against target, place by place.
    """
    tallies: dict[str, Tally] = {}
    moments = {name: Moments() for name in stitches}
    for images, labels in batches:
        images, labels = images.to(device), labels.to(device)
        source, target = sender.front(images), receiver.front(images)
        logits = {"sender": sender.end(source), "receiver": receiver.end(target)}
        for name, stitch in stitches.items():
            stitched = stitch(source)
            moments[name].update(stitched, target)
            logits[name] = receiver.end(stitched)
        for name, output in logits.items():
            tally = tallies.setdefault(name, Tally(device))
            tally.update(output, labels, logits["receiver"])
    answer: dict[str, float] = {}
    for name, tally in tallies.items():
        answer[f"accuracy/{name}"] = tally.share(tally.hits)
        answer[f"loss/{name}"] = tally.share(tally.loss)
    for name in stitches:
        accuracy, receivers = answer[f"accuracy/{name}"], answer["accuracy/receiver"]
        answer[f"relative_accuracy/{name}"] = accuracy / receivers if receivers else float("nan")
        answer[f"stitching_penalty/{name}"] = receivers - accuracy
        answer[f"agreement/{name}"] = tallies[name].share(tallies[name].agreements)
        for measure in measures:
            answer[f"{measure}/{name}"] = float(MEASURES[measure](moments[name]))
    return answer


class Tally:
    """Running counts of one network's predictions, held where the logits are."""

    def __init__(self, device: torch.device | str) -> None:
        self.n = 0
        self.hits = torch.zeros((), dtype=torch.long, device=device)
        self.agreements = torch.zeros((), dtype=torch.long, device=device)
        self.loss = torch.zeros((), dtype=torch.float64, device=device)

    def update(self, logits: Tensor, labels: Tensor, reference: Tensor) -> None:
        """Add a batch: logits (N, C), labels (N,), and the receiver's logits (N, C)."""
        predictions = logits.argmax(1)
        self.n += len(labels)
        self.hits += (predictions == labels).sum()
        self.agreements += (predictions == reference.argmax(1)).sum()
        self.loss += functional.cross_entropy(logits, labels, reduction="sum").double()

    def share(self, total: Tensor) -> float:
        """A total per example."""
        return float(total) / self.n if self.n else float("nan")
