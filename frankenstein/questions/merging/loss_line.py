"""Loss and accuracy along the straight line between the weights of two networks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frankenstein.networks.tally import evaluate_network


@dataclass(frozen=True)
class LossLine:
    """Scores of networks between two: the first at share 0, the last at share 1."""

    shares: tuple[float, ...]
    loss: dict[str, tuple[float, ...]]  # by part of the data, one for every share
    accuracy: dict[str, tuple[float, ...]]

    def barrier(self, part: str) -> float:
        """The largest loss above the straight line between the losses at both ends, in nats.

        About 0 where all networks between are as good as those at the ends.

        Source: Frankle et al. 2020, https://arxiv.org/abs/1912.05671; Entezari et al. 2022,
        definition 2.1, https://arxiv.org/abs/2110.06296.
        """
        first, last = self.loss[part][0], self.loss[part][-1]
        between = zip(self.shares, self.loss[part], strict=True)
        return max(loss - (1 - share) * first - share * last for share, loss in between)


def loss_line(
    make: Callable[[float], nn.Module],  # share of the second network -> network
    shares: Iterable[float],  # ascending, from 0 to 1
    parts: Mapping[str, Iterable[tuple[Tensor, Tensor]]],  # such as {"held-out": batches}
    device: torch.device | str = "cpu",
) -> LossLine:
    """Every network that `make` makes, scored on every part of the data."""
    loss: dict[str, list[float]] = {part: [] for part in parts}
    accuracy: dict[str, list[float]] = {part: [] for part in parts}
    passed: list[float] = []
    for share in shares:
        passed.append(share)
        network = make(share)
        for part, batches in parts.items():
            scores = evaluate_network(network, batches, device)
            loss[part].append(scores["loss"])
            accuracy[part].append(scores["accuracy"])
    return LossLine(
        tuple(passed),
        {part: tuple(values) for part, values in loss.items()},
        {part: tuple(values) for part, values in accuracy.items()},
    )
