"""Every number of a matrix of stitches, once: its tables, summary and CSV are made of them."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from frankenstein.files import read_sealed, write_sealed
from frankenstein.intervals import mean_and_margin, mean_and_spread, share_interval
from frankenstein.records import check_fields, json_record
from frankenstein.stitching.matrix.costs import Cost, pareto
from frankenstein.stitching.matrix.solve import Pair

CELLS = "cells"
FEW = "solved_few"  # the kind that untrained senders are held against: solved on as few images
Row = dict[str, dict[str, float]]  # receiver layer -> {"accuracy": ..., ...}


_NETWORKS = ("sender", "receiver")  # every cell has their accuracies, too
_HEADER = (
    *("kind", "sender_layer", "receiver_layer", "what", "value"),
    *("margin", "seeds", "n", "low", "high"),  # of a value; the last three of a share
)


class Cells:
    """A folder of small files, one for each (kind, seed, sender layer), whole and with a checksum.

    Reading one that is damaged raises a FileError.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make it."""
        self.folder = folder / CELLS
        self.folder.mkdir(exist_ok=True)

    def __contains__(self, key: tuple[str, int, str]) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: tuple[str, int, str]) -> Row:
        path = self._path(key)
        where = f"{path} is no row of a matrix; delete it"
        row = json_record(read_sealed(path), where)
        for layer, numbers in row.items():
            check_fields(row, {layer: dict}, where)
            check_fields(numbers, dict.fromkeys(numbers, float), where)
        return row

    def __setitem__(self, key: tuple[str, int, str], row: Row) -> None:
        write_sealed(self._path(key), json.dumps(row).encode())

    def _path(self, key: tuple[str, int, str]) -> Path:
        kind, seed, layer = key
        return self.folder / f"{kind}-{seed}-{layer}.json"


@dataclass(frozen=True)
class Number:
    """What one pair of layers has by one score or measure."""

    kind: str  # of the stitches: "solved", FEW, "untrained" or "trained"; else "measures"
    what: str  # "accuracy", "agreement", or a measure
    pair: Pair
    values: tuple[float, ...]  # one for each seed
    images: int | None  # held-out ones that a share is of; None of a measure

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return mean_and_margin(self.values)[0]

    @property
    def margin(self) -> float | None:
        """Half the width of the mean's interval; None of a single value."""
        return mean_and_margin(self.values)[1] if len(self.values) > 1 else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over untrained senders; None of other kinds, or of a single one."""
        several = self.kind == "untrained" and len(self.values) > 1
        return mean_and_spread(self.values)[1] if several else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share of images that the mean is.

        Of untrained senders from the lowest end of theirs to the highest.
        """
        assert self.images is not None
        if self.kind != "untrained":
            return share_interval(self.mean, self.images)
        ends = [share_interval(value, self.images) for value in self.values]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @property
    def ends(self) -> tuple[float, float] | None:
        """That interval where there is one value; several have a margin instead."""
        alone = self.margin is None or self.kind == "untrained"
        return self.interval if self.images is not None and alone else None

    def summary(self) -> dict[str, float]:
        """What `summary.json` says of it."""
        place = self.what if self.kind == "measures" else f"{self.what}/{self.kind}"
        pair = "/".join(self.pair)
        record = {f"{place}/{pair}": self.mean}
        if self.spread is not None:
            record[f"{place}_spread/{pair}"] = self.spread
        elif self.margin is not None:
            record[f"{place}_margin/{pair}"] = self.margin
        if self.what == "accuracy" and self.ends:
            for end, value in zip(("low", "high"), self.ends, strict=True):
                record[f"accuracy_{end}/{self.kind}/{pair}"] = value
        return record

    def line(self) -> list[object]:
        """What `matrix.csv` says of it."""
        margin = "" if self.margin is None else repr(self.margin)
        ends = map(repr, self.ends) if self.ends else ("", "")
        known = [margin, len(self.values), self.images, *ends]
        return [self.kind, *self.pair, self.what, repr(self.mean), *known]


Numbers = Mapping[tuple[str, str, Pair], Number]  # by kind, what and pair


@dataclass(frozen=True)
class Results:
    """Every number of a run, as far as it is made."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: Numbers
    networks: Mapping[str, float]  # accuracy of sender and receiver by themselves
    images: int  # held-out ones, that these are scored on
    refused: Mapping[Pair, str]  # pairs without a stitch, and why
    most_frequent: float = 0.0  # accuracy of the best answer that is always the same
    # What each grafted network costs, and sender and receiver by themselves.
    costs: Mapping[Pair, Cost] = field(default_factory=dict)
    own_costs: Mapping[str, Cost] = field(default_factory=dict)

    def tables(self) -> list[tuple[str, str]]:
        """Kind and what of every table, in order."""
        return list(dict.fromkeys((kind, what) for kind, what, _ in self.numbers))

    def table(self, kind: str, what: str) -> Tensor:  # (L, M), NaN where there is no stitch
        """Means over the seeds."""
        means = {number.pair: number.mean for number in self.all_of(kind, what)}
        rows = [[means.get((r, c), math.nan) for c in self.columns] for r in self.rows]
        return torch.tensor(rows, dtype=torch.float64)

    def all_of(self, kind: str, what: str = "accuracy") -> list[Number]:
        """The numbers of one table."""
        return [one for key, one in self.numbers.items() if key[:2] == (kind, what)]

    def clearly_below(self, kind: str, other: str) -> list[tuple[Number, Number]]:
        """Accuracies of one kind that are clearly below those of another: no interval overlaps.

        With several seeds their means are compared.
        """
        keys = [(number, (other, "accuracy", number.pair)) for number in self.all_of(kind)]
        both = [(number, self.numbers[key]) for number, key in keys if key in self.numbers]
        return [(one, two) for one, two in both if one.interval[1] < two.interval[0]]

    @property
    def last(self) -> str:
        """The kind of stitch that the run ends with: "trained", if any is, else "solved"."""
        return "trained" if self.all_of("trained") else "solved"

    @property
    def pareto(self) -> list[Pair]:
        """Pairs that no other one beats in multiplications and accuracy, the cheapest first."""
        accuracies = {number.pair: number.mean for number in self.all_of(self.last)}
        return pareto({pair: one.multiplications for pair, one in self.costs.items()}, accuracies)

    def summary(self) -> dict[str, float]:
        """One flat record."""
        record: dict[str, float] = {"n": self.images}
        named = {"/".join(pair): cost for pair, cost in self.costs.items()}
        for name, cost in (*self.own_costs.items(), *named.items()):
            record |= {f"{what}/{name}": number for what, number in cost._asdict().items()}
        for role, accuracy in self.networks.items():
            low, high = share_interval(accuracy, self.images)
            record |= {
                f"accuracy/{role}": accuracy,
                f"accuracy_low/{role}": low,
                f"accuracy_high/{role}": high,
            }
        for number in self.numbers.values():
            record |= number.summary()
        return record

    def to_csv(self) -> str:
        """One line for each number: long, as data frames like it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(number.line() for number in self.numbers.values())
        for pair, cost in self.costs.items():
            for what, number in cost._asdict().items():
                writer.writerow(["cost", *pair, what, number, "", 1, "", "", ""])
        return text.getvalue()


def results_of(
    cells: Cells,
    kinds_and_seeds: Iterable[tuple[str, int]],
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    images: Mapping[str, int],  # held-out ones that stitches of a kind are scored on
    refused: Mapping[Pair, str],
    most_frequent: float,
    costs: Mapping[Pair, Cost],
    own_costs: Mapping[str, Cost],
) -> Results:
    """The numbers in those cells that are made; several seeds of a kind are one number.

    Raises:
        FileError: if a cell is damaged.
    """
    values: dict[tuple[str, str], dict[Pair, list[float]]] = {}
    networks: dict[str, float] = {}
    for kind, seed in kinds_and_seeds:
        for s in rows:
            if (kind, seed, s) not in cells:
                continue
            for t, cell in cells[kind, seed, s].items():
                for what, value in cell.items():
                    if what in _NETWORKS:
                        networks.setdefault(what, value)
                    else:
                        values.setdefault((kind, what), {}).setdefault((s, t), []).append(value)
    numbers = {
        (kind, what, pair): Number(kind, what, pair, tuple(one), images.get(kind))
        for (kind, what), cells_of in values.items()
        for pair, one in cells_of.items()
    }
    held_out = images["solved"]
    return Results(
        rows, columns, numbers, networks, held_out, refused, most_frequent, costs, own_costs
    )
