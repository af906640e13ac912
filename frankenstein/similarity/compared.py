"""What a comparison has measured, before it is put into words."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from frankenstein.catalog import MEASURES
from frankenstein.measures import LayerSimilarities
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.similarity.plan import measure_of
from frankenstein.similarity.resampling import Certainty


@dataclass(frozen=True)
class Compared:
    """Every measure of every layer with every layer, and how sure that is."""

    words: list[str]  # what tables and `summary.json` call the measures
    matrices: Mapping[str, LabelledMatrix]  # by measure
    certainties: Mapping[str, Certainty]  # by measure; none unless asked for
    similarities: LayerSimilarities  # that they come from

    @property
    def layers(self) -> tuple[str, str]:
        """The two layers of a table, which has one a side."""
        (row,), (column,) = self.similarities.rows, self.similarities.columns
        return row, column

    def numbers(self) -> dict[str, float]:
        """Every value, by measure and layers; behind them what chance makes of it, if known."""
        numbers = {
            self.key(word, row, column): matrix[row, column] / self.divisor(word)
            for word in self.words
            for matrix in [self.matrices[measure_of(word)]]
            for row in matrix.rows
            for column in matrix.columns
        }
        for word in self.words:
            certainty, matrix = (
                self.certainties.get(measure_of(word)),
                self.matrices[measure_of(word)],
            )
            for what in ("family_p", "calibrated"):
                if (known := getattr(certainty, what, None)) is not None:
                    numbers |= {
                        self.key(f"{word}_{what}", row, column): float(known[i, j])
                        for i, row in enumerate(matrix.rows)
                        for j, column in enumerate(matrix.columns)
                    }
        return numbers

    @staticmethod
    def key(word: str, row: str, column: str) -> str:
        """What `summary.json` calls a value."""
        return f"{word}/{row}/{column}"

    def divisor(self, word: str) -> int:
        """What values are divided by: of l2, which is a mean over units, their number."""
        if word != "l2":
            return 1
        return len(self.similarities.pair(measure_of(word), *self.layers).mean("y"))

    def of_units(self) -> dict[str, Tensor]:  # (D, E)
        """Measures that are means over pairs of units: each of every pair, of single layers."""
        return {
            measure: in_detail(self.similarities.pair(measure, *self.layers)).cpu()
            for measure in self.matrices
            if (in_detail := MEASURES[measure].of_units)
        }
