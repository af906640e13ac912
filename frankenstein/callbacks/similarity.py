"""Similarity of stitched to target at every validation, where training runs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from frankenstein.callbacks.boards import add_figure
from frankenstein.errors import UserError
from frankenstein.measures import Similarities, correlation_matrix
from frankenstein.report import unit_correlations


class RepresentationSimilarity(pl.Callback):
    """Logs measures between two representations, by name, as
    `similarity/<measure>/<flattening>`.

    Works with any LightningModule that has a method `representations(batch)` returning two tensors
    of the same examples; a measure of the inputs too takes `batch[0]`. It rides on the validation
    that runs anyway: sums, and for measures that do not follow from them at most `limit` examples,
    are kept on the device where the representations are, and only the finished numbers leave it.
    Each measure flattens maps by its own default (`catalog.MEASURES`) unless a flattening is named.
    When training ends it draws how each unit of one correlates with each unit of the other.
    """

    def __init__(
        self,
        measures: Sequence[str] = ("unbiased_cka", "mean_cca"),
        flattening: str | None = None,
        limit: int = 2000,
    ) -> None:
        self._empty = partial(Similarities, measures, flattening, limit)
        self._similarities = self._empty()

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a module that has nothing to compare, before the first epoch."""
        if not callable(getattr(pl_module, "representations", None)):
            raise UserError(
                f"RepresentationSimilarity needs {type(pl_module).__name__}.representations(batch) "
                "to return two tensors; add that method"
            )

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Forget the last epoch's examples."""
        self._similarities = self._empty()

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Add a batch."""
        inputs = batch[0] if self._similarities.needs_inputs else None
        source, target = pl_module.representations(batch)
        self._similarities.update(source, target, inputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Turn what was kept into numbers, once for all processes."""
        if trainer.sanity_checking:
            return
        flattenings = self._similarities.flattenings
        for name, value in self._similarities.all_reduce().values().items():
            pl_module.log(f"similarity/{name}/{flattenings[name]}", value, sync_dist=True)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the correlations of the last validation."""
        moments = self._similarities.moments
        if moments is None or moments.n == 0:
            return
        values = correlation_matrix(moments).cpu()
        figure = unit_correlations(values, "stitched unit", "target unit")
        add_figure(trainer, "similarity/units", figure)
