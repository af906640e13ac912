"""A measure of every layer of one network against every layer of another, with their names."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.errors import did_you_mean
from frankenstein.files import FileError, write_whole
from frankenstein.records import read_file
from frankenstein.report.matrices import heatmap
from frankenstein.report.terminal import terminal_matrix

_CORNER = (  # of the table, as `to_csv` writes it
    r"sender \\ receiver: (?P<measure>\w+), (?P<flattening>\w+), (?P<examples>\d+) examples"
    r"(?: in blocks of (?P<block>\d+))?"
)


@dataclass(frozen=True, repr=False)
class LabelledMatrix:
    """The similarity of every layer of one network with every layer of another."""

    values: Tensor  # (L, M) float64
    rows: tuple[str, ...]  # layers of the sender
    columns: tuple[str, ...]  # layers of the receiver
    measure: str
    flattening: str
    examples: int  # that entered the value
    block: int | None = None  # examples that each Gram matrix spans, where there are any

    @property
    def title(self) -> str:
        """The measure, how it was made, and of what."""
        blocks = f" in blocks of {self.block}" if self.block and self.block < self.examples else ""
        return f"{self.measure}, {self.flattening}, {self.examples} examples{blocks}"

    def __repr__(self) -> str:
        """The title over the values, as wide as 120 characters."""
        console = Console(file=io.StringIO(), width=120, color_system=None)
        console.print(f"{self.title}; rows: sender, columns: receiver", highlight=False)
        console.print(terminal_matrix(self.values, self.rows, self.columns))
        return console.file.getvalue().rstrip()  # type: ignore[attr-defined]

    def __getitem__(self, layers: tuple[str, str]) -> float:
        """The value of (sender layer, receiver layer).

        Raises:
            KeyError: for anything else than two layers of this matrix.
        """
        if not (isinstance(layers, tuple) and len(layers) == 2):
            example = f"{self.rows[0]!r}, {self.columns[0]!r}"
            raise KeyError(f"a value has two layers, as in matrix[{example}]; got {layers!r}")
        row, column = layers
        for name, known in ((row, self.rows), (column, self.columns)):
            if name not in known:
                raise KeyError(f"no layer {name!r} in this matrix{did_you_mean(name, known)}")
        return float(self.values[self.rows.index(row), self.columns.index(column)])

    def plot(self) -> Figure:
        """A heatmap, sender's layers down and receiver's across."""
        low, high = MEASURES[self.measure].range
        return heatmap(
            self.values,
            self.rows,
            self.columns,
            title=self.title,
            row_label="sender",
            column_label="receiver",
            # Unbiased CKA can be below 0, by little: its colours are those of CKA.
            limits=(max(low, 0.0), high) if high < float("inf") else None,
        )

    def to_csv(self, path: str | Path) -> Path:
        """Write the matrix with its layers' names, its title in the corner; every digit is kept."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([f"sender \\ receiver: {self.title}", *self.columns])
        for name, row in zip(self.rows, self.values.tolist(), strict=True):
            writer.writerow([name, *map(repr, row)])
        return write_whole(path, text.getvalue())

    @classmethod
    def from_csv(cls, path: str | Path) -> "LabelledMatrix":
        """The matrix that `to_csv` wrote.

        Raises:
            FileError: if the file holds no such matrix.
        """
        try:
            corner, *lines = csv.reader(read_file(Path(path)).decode().splitlines())
            values = torch.tensor([[*map(float, line[1:])] for line in lines], dtype=torch.float64)
            values = values.reshape(len(lines), len(corner) - 1)
            facts = re.fullmatch(_CORNER, corner[0])
            if facts is None or facts["measure"] not in MEASURES:
                raise ValueError
            numbers = [int(facts[name] or 0) for name in ("examples", "block")]
        except (ValueError, IndexError, RuntimeError, csv.Error):
            raise FileError(f"{path} holds no matrix of layers; run compare again") from None
        return cls(
            values,
            tuple(line[0] for line in lines),
            tuple(corner[1:]),
            facts["measure"],
            facts["flattening"],
            numbers[0],
            numbers[1] or None,
        )
