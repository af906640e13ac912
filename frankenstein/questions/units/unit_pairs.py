"""Which unit of the one network is which unit of the other: pairs one to one, and who is left."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from frankenstein.accumulators.assignment import assignment
from frankenstein.accumulators.moments import moments_of
from frankenstein.files import write_whole
from frankenstein.intervals import mean_and_spread
from frankenstein.measures.units import correlation_matrix
from frankenstein.report import markdown_table, short_number

FILE = "unit_pairs.csv"
_SHOWN = 5  # of each layer
_HEADER = ("layer", "sender unit", "receiver unit", "correlation", "matching", "untrained")


class UnitPairs(NamedTuple):
    """Units of two networks, from 0 on, the likest first: one to one, then who is left."""

    sender: Sequence[int]
    receiver: Sequence[int]
    correlation: Sequence[float]
    one_to_one: int  # so many; behind them units of the wider side, each with the unit likest to it

    @property
    def mean(self) -> float:
        """Over the pairs one to one; NaN without any."""
        return mean_and_spread(self.correlation[: self.one_to_one])[0]


class Paired(NamedTuple):
    """The pairs of a layer's units, and those of untrained networks, which are paired likewise."""

    pairs: UnitPairs
    untrained: Sequence[UnitPairs]
    units: tuple[int, int]  # of the sender and of the receiver

    @property
    def control(self) -> tuple[float, float]:
        """Mean and standard deviation over untrained networks of their mean correlation."""
        return mean_and_spread([one.mean for one in self.untrained])

    def rows(self, layer: str) -> list[tuple[str, int, int, float, str, float]]:
        """As `_HEADER` says; of untrained networks the mean of their pairs of the same rank."""
        return [
            (
                *(layer, *unit),
                "one to one" if rank < self.pairs.one_to_one else "likest",
                self._at(rank),
            )
            for rank, unit in enumerate(zip(*self.pairs[:3], strict=True))
        ]

    def _at(self, rank: int) -> float:
        left = rank - self.pairs.one_to_one
        places = [(rank if left < 0 else one.one_to_one + left, one) for one in self.untrained]
        known = [
            one.correlation[place]
            for place, one in places
            if place < (one.one_to_one if left < 0 else len(one.correlation))
        ]
        return mean_and_spread(known)[0] if known else math.nan


def unit_pairs(
    x: Tensor,  # (N, D)
    y: Tensor,  # (N, E)
) -> UnitPairs:
    """Units paired one to one so that their correlations add up to the most.

    Dead units are left out. The side with fewer units is paired as a whole. Every unit of the other
    that is left stands with the unit that is likest to it, which is another one's partner.

    Source: the bipartite and the semi-matching of Li et al. 2016, https://arxiv.org/abs/1511.07543.

    >>> x = torch.tensor([[1.0, 0, 2], [0, 1, 1], [3, 1, 0]])
    >>> found = unit_pairs(x, x[:, [2, 0]])
    >>> found.sender, found.receiver, found.one_to_one
    ([0, 2, 1], [1, 0, 1], 2)
    """
    correlation = correlation_matrix(moments_of(x, y)).cpu()
    live_x, live_y = ((~correlation.isnan().all(side)).nonzero().flatten() for side in (1, 0))
    live = correlation[live_x][:, live_y]
    if not live.numel():
        return UnitPairs([], [], [], 0)
    rows, columns = assignment(live)
    order = live[rows, columns].argsort(descending=True, stable=True)
    rows, columns = rows[order], columns[order]
    side = int(len(live_x) < len(live_y))
    taken = (rows, columns)[side]
    left = torch.tensor([i for i in range(live.shape[side]) if i not in {*taken.tolist()}]).long()
    best = live.max(1 - side)
    left = left[best.values[left].argsort(descending=True, stable=True)]
    others = best.indices[left]
    more = (others, left) if side else (left, others)
    rows, columns = torch.cat([rows, more[0]]), torch.cat([columns, more[1]])
    values = live[rows, columns].tolist()
    return UnitPairs(live_x[rows].tolist(), live_y[columns].tolist(), values, len(taken))


def write_pairs(path: Path, layers: Mapping[str, Paired]) -> Path:
    """All pairs of all layers as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name.replace(" ", "_") for name in _HEADER])
    for layer, paired in layers.items():
        for *units, correlation, matching, control in paired.rows(layer):
            writer.writerow([*units, f"{correlation:.4f}", matching, f"{control:.4f}"])
    return write_whole(path, text.getvalue())


def pairs_table(layers: Mapping[str, Paired]) -> str:
    """The likest pairs of every layer."""
    rows = [
        [layer, *map(str, units), f"{correlation:.3f}", short_number(control, ".3f")]
        for layer, paired in layers.items()
        for _, *units, correlation, _, control in paired.rows(layer)[:_SHOWN]
    ]
    header = [name for name in _HEADER if name != "matching"]
    return markdown_table(rows, header, right=header[1:])


def pairs_about(layers: Mapping[str, Paired]) -> str:
    """What the table has, and what the file has beside it."""
    return (
        "**Which unit is which.** Units of the sender and of the receiver, from 0 on, are paired "
        "one to one so that their correlations over the images add up to the most (means over "
        f"places; dead units are left out). The {_SHOWN} likest pairs of a layer stand here, all "
        f"of them in [{FILE}](./{FILE}). Where one network has more units, each that is left "
        "stands there with the unit that is likest to it (`likest`). Pairing finds likeness in "
        "anything: *untrained* is the pair of the same rank of two untrained networks, a "
        f"mean over {len(next(iter(layers.values())).untrained)} twos."
    )
