"""How alike are the layers of two networks: one pass over the data for all pairs."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from frankenstein.errors import UserError, did_you_mean
from frankenstein.files import write_whole
from frankenstein.grams import Grams
from frankenstein.report import heatmap
from frankenstein.surgery import capture, cut_points


@dataclass(frozen=True)
class SimilarityMatrix:
    """The similarity of every layer of one network with every layer of another."""

    values: Tensor  # (L, M) float64
    rows: tuple[str, ...]  # layers of the sender
    columns: tuple[str, ...]  # layers of the receiver
    measure: str
    flattening: str
    examples: int  # that entered the value
    block: int  # examples that each Gram matrix spans

    def __getitem__(self, layers: tuple[str, str]) -> float:
        """The value of (sender layer, receiver layer)."""
        row, column = layers
        for name, known in ((row, self.rows), (column, self.columns)):
            if name not in known:
                raise KeyError(f"no layer {name!r} in this matrix{did_you_mean(name, known)}")
        return float(self.values[self.rows.index(row), self.columns.index(column)])

    def plot(self) -> Figure:
        """A heatmap, sender's layers down and receiver's across."""
        return heatmap(
            self.values,
            self.rows,
            self.columns,
            title=f"{self.measure}, {self.flattening}, {self.examples} examples",
            row_label="sender",
            column_label="receiver",
        )

    def to_csv(self, path: str | Path) -> Path:
        """Write the matrix with its layers' names; every digit is kept."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sender \\ receiver", *self.columns])
        for name, row in zip(self.rows, self.values.tolist(), strict=True):
            writer.writerow([name, *map(repr, row)])
        return write_whole(path, text.getvalue())


@torch.no_grad()
def similarity_matrix(
    sender: nn.Module,
    receiver: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    measure: str = "unbiased_cka",
    sender_layers: Sequence[str] | None = None,
    receiver_layers: Sequence[str] | None = None,
    device: torch.device | str = "cpu",
) -> SimilarityMatrix:
    """Unbiased linear CKA between layers, each flattened per sample; all cut points by default.

    Each batch is one block of Gram matrices: its size changes the spread of the estimate,
    not its mean. Both networks lie on `device` and are used in evaluation mode; their own modes are
    restored after.

    Raises:
        LayerError: for a layer that a network does not have.
        UserError: for another measure, or NaN or Inf in a layer.
    """
    if measure != "unbiased_cka":
        raise UserError(f"a matrix holds unbiased_cka, got {measure!r}; other measures take a cut")
    rows = tuple(sender_layers or cut_points(sender))
    columns = tuple(receiver_layers or cut_points(receiver))
    ours, theirs = capture(sender, rows), capture(receiver, columns)
    grams, block = Grams(), 0
    modes = [(m, m.training) for net in (sender, receiver) for m in net.modules()]
    sender.eval(), receiver.eval()
    try:
        for images, _ in batches:
            block, images = max(block, len(images)), images.to(device)
            a, b = ours(images), theirs(images)
            grams.update([a[name] for name in rows], [b[name] for name in columns])
    finally:
        for module, mode in modes:
            module.training = mode
    values = grams.unbiased_cka()
    return SimilarityMatrix(values, rows, columns, measure, "per_sample", grams.n, block)
