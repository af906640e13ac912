"""Scores of all measures in a test, with the draws that say how sure they and their ranks are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from frankenstein.benchmark.compare import CONTROLS
from frankenstein.benchmark.grounded.grounded import Compared, Score
from frankenstein.benchmark.statistics import Array, drawn_networks, interval, ranks
from frankenstein.files import load_tensors, save_tensors

_FILE = "{test}-draws.safetensors"


@dataclass(frozen=True)
class Scored:
    """One score of a test: of every measure, and again for every draw of networks."""

    name: str
    rows: tuple[str, ...]  # (M,)
    chance: float
    larger: bool  # whether larger is better
    values: Array  # (M,), NaN of a measure that is undefined for a pair
    draws: Array  # (B, M)

    @cached_property
    def ends(self) -> tuple[Array, Array]:
        """Of the 95 % interval of each value."""
        return interval(self.draws)

    @cached_property
    def ranks(self) -> Array:  # (M,), 1 is the best; NaN of a control
        """Ranks of measures and stitches; controls are not among them."""
        return self._ranks(self.values)

    @cached_property
    def drawn_ranks(self) -> Array:  # (B, M)
        """The same of every draw."""
        return self._ranks(self.draws)

    @cached_property
    def rank_ends(self) -> tuple[Array, Array]:
        """Of the 95 % interval of each rank."""
        return interval(self.drawn_ranks)

    @property
    def best(self) -> str | None:
        """The row of the best score; None if all are undefined."""
        if np.isnan(self.ranks).all():
            return None
        return self.rows[int(np.nanargmin(self.ranks))]

    def as_good(self) -> list[str]:
        """Rows, best first, whose difference from the best has an interval that holds 0."""
        if self.best is None:
            return []
        gaps = self.draws - self.draws[:, [self.rows.index(self.best)]]
        low, high = interval(gaps)
        found = [
            i
            for i in np.argsort(self.ranks)
            if low[i] <= 0 <= high[i] and not np.isnan(self.ranks[i])
        ]
        return [self.rows[i] for i in found if self.rows[i] != self.best]

    def _ranks(self, scores: Array) -> Array:
        ranked = np.array([row not in CONTROLS for row in self.rows])
        return ranks(np.where(ranked, scores, np.nan), self.larger)


def scored(
    found: Compared, scores: Sequence[Score], rows: Sequence[str], draws: int
) -> list[Scored]:
    """Every score, of the networks as they are and as they are drawn."""
    everyone = np.arange(len(found.groups))
    drawn = drawn_networks(found.groups, draws)
    made = []
    for score in scores:
        values = score.of(everyone)
        again = np.where(np.isnan(values), np.nan, np.stack([score.of(index) for index in drawn]))
        made.append(Scored(score.name, tuple(rows), score.chance, score.larger, values, again))
    return made


def save_scores(folder: Path, test: str, scores: Sequence[Scored]) -> None:
    """Values and draws, as `read_scores` reads them."""
    tensors = {}
    for one in scores:
        tensors[f"{one.name}/values"] = torch.from_numpy(one.values)
        tensors[f"{one.name}/draws"] = torch.from_numpy(one.draws)
    save_tensors(folder / _FILE.format(test=test), tensors, {"kind": "scores"})


def read_scores(folder: Path, test: str, record: Mapping[str, Any]) -> list[Scored]:
    """The scores of a finished run of a test, whose record names them.

    Raises:
        FileError: if the file is damaged.
    """
    tensors, _ = load_tensors(folder / _FILE.format(test=test))
    rows, told = record["rows"], record["tests"][test]["scores"]
    return [
        Scored(
            *(one["name"], tuple(rows), one["chance"], one["larger"]),
            *(tensors[f"{one['name']}/{what}"].numpy() for what in ("values", "draws")),
        )
        for one in told
    ]


def mean_ranks(tests: Mapping[str, Scored]) -> tuple[Array, Array, Array, Array]:
    """Mean over tests of a measure's rank, the ends of its interval, and in how many it has one."""
    every = np.stack([one.ranks for one in tests.values()])
    draws = np.stack([one.drawn_ranks for one in tests.values()])
    count = (~np.isnan(every)).sum(0)
    return (_mean(every), *interval(_mean(draws)), count.astype(float))


def _mean(ranks_of: Array) -> Array:
    known = ~np.isnan(ranks_of)
    count = known.sum(0)
    total = np.where(known, ranks_of, 0.0).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
