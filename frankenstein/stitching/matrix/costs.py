"""What every grafted network of a matrix costs to run, and which of them are worth it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from frankenstein.stitches import Stitch
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.solve import Pair
from frankenstein.surgery.layer_set import LayerSet


class Cost(NamedTuple):
    """Of a network, or a part of one."""

    parameters: int
    multiplications: int  # of convolutions and matrix products, for one example

    def plus(self, other: "Cost") -> "Cost":
        """Of both, one after the other."""
        return Cost(
            self.parameters + other.parameters, self.multiplications + other.multiplications
        )


@torch.no_grad()
def grafted_costs(
    senders: Mapping[str, LayerSet],  # by layer: that layer alone
    receivers: Mapping[str, LayerSet],
    stitches: Mapping[Pair, Stitch],
    laid: PairMoments,  # of these layers, whether it has seen examples or not
    example: Any,  # a batch of one, as both `read`
) -> dict[Pair, Cost]:
    """What front, stitch and end of every pair cost together, as they are run.

    Multiplications are half of the floating point operations that PyTorch counts: those of
    convolutions and matrix products. What is cheap beside them (normalisation, ReLU, resizing) is
    not counted, and attention only as far as PyTorch knows it.
    """
    fronts = {s: counted(one.read, example) for s, one in senders.items()}
    ends = {t: counted(one.ends[t], one.read(example)[t])[0] for t, one in receivers.items()}
    costs = {}
    for (s, t), stitch in stitches.items():
        front, sources = fronts[s]
        first = stitch.affine and laid.widens(s, t)  # as stitches are scored
        source = sources[s] if first else laid.lay(s, t)(sources[s])
        costs[s, t] = front.plus(counted(stitch, source)[0]).plus(ends[t])
    return costs


def pareto(costs: Mapping[Pair, int], accuracies: Mapping[Pair, float]) -> list[Pair]:
    """Pairs that no other one beats: cheaper and as accurate, or more accurate and as cheap.

    From the cheapest to the most accurate. Of pairs that are alike in both all are there.

    >>> costs = {("a", "b"): 2, ("a", "c"): 3, ("b", "c"): 3}
    >>> pareto(costs, {("a", "b"): 0.5, ("a", "c"): 0.9, ("b", "c"): 0.4})
    [('a', 'b'), ('a', 'c')]
    """
    known = [pair for pair in costs if pair in accuracies]
    order = sorted(known, key=lambda pair: (costs[pair], -accuracies[pair]))
    front: list[Pair] = []
    for pair in order:
        last = front[-1] if front else None
        alike = last and (costs[last], accuracies[last]) == (costs[pair], accuracies[pair])
        if last is None or alike or accuracies[pair] > accuracies[last]:
            front.append(pair)
    return front


@torch.no_grad()
def counted(part: nn.Module, given: Any) -> tuple[Cost, Any]:
    """What a part costs, and what it makes."""
    part(given)  # halves run the network beside them the first time, to prove themselves
    with FlopCounterMode(display=False) as counter:
        made = part(given)
    parameters = {id(one): one.numel() for one in part.parameters()}
    return Cost(sum(parameters.values()), counter.get_total_flops() // 2), made
