"""Similarity of stitched to target at every validation, where training runs."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from frankenstein.callbacks.boards import add_figure
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError, did_you_mean
from frankenstein.measures import correlation_matrix
from frankenstein.moments import Moments
from frankenstein.report import heatmap


class RepresentationSimilarity(pl.Callback):
    """Logs measures between two representations, by name, as `similarity/<measure>`.

    Works with any LightningModule that has a method `representations(batch)` returning two tensors
    of the same examples. It rides on the validation that runs anyway: sums are kept on the
    device where the representations are, and only the finished numbers leave it. When training
    ends it draws how each unit of one correlates with each unit of the other.
    """

    def __init__(self, measures: Sequence[str] = ("unbiased_cka", "mean_cca")) -> None:
        for name in measures:
            if name not in MEASURES:
                raise UserError(f"unknown measure {name!r}{did_you_mean(name, MEASURES)}")
        self.measures = tuple(measures)
        self._moments = Moments()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a module that has nothing to compare, before the first epoch."""
        if not callable(getattr(pl_module, "representations", None)):
            raise UserError(
                f"RepresentationSimilarity needs {type(pl_module).__name__}.representations(batch) "
                "to return two tensors; add that method"
            )

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Forget the last epoch's sums."""
        self._moments = Moments()

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Add a batch's sums."""
        self._moments.update(*pl_module.representations(batch))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Turn the sums into numbers, once for all processes."""
        if trainer.sanity_checking:
            return
        self._moments.all_reduce()
        for name in self.measures:
            pl_module.log(f"similarity/{name}", MEASURES[name](self._moments), sync_dist=True)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the correlations of the last validation."""
        if self._moments.n == 0:
            return
        values = correlation_matrix(self._moments).cpu()
        rows, columns = ([str(i) for i in range(size)] for size in values.shape)
        figure = heatmap(
            values,
            rows,
            columns,
            title="correlation of units over the held-out data",
            row_label="stitched unit",
            column_label="target unit",
            limits=(-1, 1),
        )
        add_figure(trainer, "similarity/units", figure)
