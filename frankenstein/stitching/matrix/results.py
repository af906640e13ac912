"""Every number of a matrix of stitches: tables, one flat record, one CSV."""

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frankenstein.intervals import mean_and_margin, share_interval
from frankenstein.stitching.matrix.solve import Pair

SHARES = ("accuracy", "agreement")
_KNOWN = ("margin", "seeds", "n", "low", "high")  # of a value; the last three of a share


@dataclass(frozen=True)
class Results:
    """Every number of a run, by kind ("solved", "untrained", "trained", "measures"), name, pair."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    found: dict[str, dict[str, dict[Pair, list[float]]]]  # a value for each seed
    refused: dict[Pair, str]
    images: dict[str, int]  # held-out ones, that stitches of a kind are scored on
    most_frequent: float = 0.0  # accuracy of the best answer that is always the same

    def table(self, kind: str, what: str) -> Tensor:  # (L, M), NaN where there is no stitch
        """Means over the seeds."""
        rows = [[self.mean(kind, what, (r, c)) for c in self.columns] for r in self.rows]
        return torch.tensor(rows, dtype=torch.float64)

    def mean(self, kind: str, what: str, pair: Pair) -> float:
        """Mean over the seeds; NaN where there is no stitch."""
        values = self.found[kind].get(what, {}).get(pair)
        return mean_and_margin(values)[0] if values else math.nan

    def whole(self, side: str) -> float:
        """Accuracy of the sender or the receiver by itself."""
        return next(iter(self.found["solved"][side].values()))[0]

    def summary(self) -> dict[str, float]:
        """One flat record."""
        record: dict[str, float] = {"n": self.images["solved"]}
        for side in ("sender", "receiver"):
            record[f"accuracy/{side}"] = self.whole(side)
            for end, value in zip(
                ("low", "high"), self.interval("solved", self.whole(side)), strict=True
            ):
                record[f"accuracy_{end}/{side}"] = value
        for kind, what, (s, t), values in self._numbers():
            place = what if kind == "measures" else f"{what}/{kind}"
            mean, margin = mean_and_margin(values)
            record[f"{place}/{s}/{t}"] = mean
            if len(values) > 1:
                record[f"{place}_margin/{s}/{t}"] = margin
            elif what == "accuracy":
                for end, value in zip(("low", "high"), self.interval(kind, mean), strict=True):
                    record[f"accuracy_{end}/{kind}/{s}/{t}"] = value
        return record

    def interval(self, kind: str, share: float) -> tuple[float, float]:
        """95 % interval of a share of the held-out images that stitches of a kind are scored on."""
        return share_interval(share, self.images[kind])

    def clearly_below(self, kind: str, other: str) -> list[Pair]:
        """Pairs whose stitch of one kind is clearly below that of another: no interval meets.

        With several seeds their means are compared.
        """
        both = self.found.get(kind, {}).get("accuracy", {})
        return [
            pair
            for pair in both
            if self.interval(kind, self.mean(kind, "accuracy", pair))[1]
            < self.interval(other, self.mean(other, "accuracy", pair))[0]
        ]

    def to_csv(self) -> str:
        """One line for each number: long, as data frames like it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*("kind", "sender_layer", "receiver_layer", "what", "value"), *_KNOWN])
        for kind, what, (s, t), values in self._numbers():
            mean, margin = mean_and_margin(values)
            several, share = len(values) > 1, what in SHARES
            ends = map(repr, self.interval(kind, mean)) if share and not several else ("", "")
            known = [
                repr(margin) if several else "",
                len(values),
                self.images[kind] if share else "",
            ]
            writer.writerow([kind, s, t, what, repr(mean), *known, *ends])
        return text.getvalue()

    def pictures(self) -> Iterator[tuple[str, str]]:
        """Kind and name of every table."""
        for kind, named in self.found.items():
            yield from ((kind, what) for what in named if what not in ("sender", "receiver"))

    def _numbers(self) -> Iterator[tuple[str, str, Pair, list[float]]]:
        for kind, what in self.pictures():
            for pair, values in self.found[kind][what].items():
                yield kind, what, pair, values
