"""What a dictionary of a layer keeps, and what the network makes of it: one pass, sums only."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.dictionaries import Dictionary
from frankenstein.errors import UserError
from frankenstein.networks.accuracy import Tally
from frankenstein.questions.streams import TopExamples
from frankenstein.shapes import per_location
from frankenstein.surgery import Cut


@dataclass(frozen=True)
class DictionaryScores:
    """Numbers of a dictionary as a whole, and of each of its F features."""

    scores: dict[str, float]
    active: Tensor  # (F,) share of rows (examples and places) where a feature is active
    top_examples: Tensor  # (F, top) numbers of the examples where it is most active, in the pass
    top_strengths: Tensor  # (F, top) how active at their strongest place; 0: not at all


@torch.no_grad()
def evaluate_dictionary(
    halves: Cut,
    dictionary: Dictionary,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    top: int = 8,
) -> DictionaryScores:
    """How much a dictionary explains, how sparsely, and what becomes of the network's answers.

    - "explained": share of the layer's variance, over examples and places, that the reconstruction
      has; 1 is all, the layer's mean alone has 0, and less is worse than that;
    - "l0": features active at a place, on average; "dead": share of features never active;
    - "accuracy/..." and "loss/..." (nats) of the network, of the network with the "reconstruction"
      in the layer's place, and with the layer's "mean", the same for all images: what the network
      answers when the layer says nothing. "agreement" is the share of images on which the
      reconstruction leaves the answer as it was;
    - "recovered": where the loss with the reconstruction lies between that with the mean (0) and
      the network's own (1); NaN if these are equal.

    Halves and dictionary lie on `device`, in evaluation mode, maps with their channels first.
    """
    tallies = {name: Tally() for name in ("network", "reconstruction", "mean")}
    n = 0
    first, second, error = torch.zeros(()), torch.zeros(()), torch.zeros(())
    counts = torch.zeros(dictionary.features, dtype=torch.int64, device=device)
    best = TopExamples(top)
    silent = None
    for images, labels in batches:
        labels = labels.to(device)
        z = halves.front(images.to(device))
        if silent is None:
            silent = halves.end(_everywhere(dictionary.mean, z[:1]))
        answers = halves.end(z)
        strength = dictionary.encode(z)
        rebuilt = dictionary.decode(strength)
        tallies["network"].update(answers, labels)
        tallies["reconstruction"].update(halves.end(rebuilt), labels, answers)
        tallies["mean"].update(silent.expand_as(answers), labels)
        rows = per_location(z).double()
        n += len(rows)
        counts += (per_location(strength) > 0).sum(0)
        from_mean = rows - dictionary.mean
        first, second = first + from_mean.sum(0), second + from_mean.square().sum()
        error = error + (rows - per_location(rebuilt)).square().sum()
        best.update(_strongest(strength))
    if best.rows is None or best.values is None:
        raise UserError("no examples were given; is the data set empty?")
    variance = second - first.square().sum() / n
    means = {name: tally.means() for name, tally in tallies.items()}
    scores = {
        "explained": float(1 - error / variance) if variance > 0 else float("nan"),
        "l0": float(counts.sum() / n),
        "dead": float((counts == 0).double().mean()),
        "agreement": means["reconstruction"]["agreement"],
    }
    for what in ("accuracy", "loss"):
        scores |= {f"{what}/{name}": row[what] for name, row in means.items()}
    floor = scores["loss/mean"]
    most = floor - scores["loss/network"]
    rebuilt_gain = floor - scores["loss/reconstruction"]
    scores["recovered"] = rebuilt_gain / most if most else float("nan")
    return DictionaryScores(scores, counts / n, best.rows, best.values)


def _strongest(strength: Tensor) -> Tensor:  # (N, F)
    """Each feature at its strongest place."""
    if strength.ndim == 2:
        return strength
    return strength.flatten(2).amax(2) if strength.ndim == 4 else strength.amax(1)


def _everywhere(mean: Tensor, like: Tensor) -> Tensor:
    """A row at every place of a representation."""
    return (mean[:, None, None] if like.ndim == 4 else mean).expand_as(like)
