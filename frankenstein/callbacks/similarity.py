"""Similarity of stitched to target at every validation, where training runs."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from frankenstein.accumulators.moments import Moments
from frankenstein.callbacks.boards import add_figure
from frankenstein.catalog import MEASURES
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities, correlation_matrix
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
        self._empty = partial(
            LayerSimilarities, measures, flattening, None, limit, one_grid=True, shared_up_to=0
        )
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
        stitched, target = pl_module.representations(batch)
        self._similarities.update({"stitched": stitched}, {"target": target}, inputs)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Turn what was kept into numbers, once for all processes."""
        if trainer.sanity_checking:
            return
        similarities = self._similarities.all_reduce()
        for name, flattening in similarities.flattenings.items():
            value = similarities.value(name, "stitched", "target")
            pl_module.log(f"similarity/{name}/{flattening}", value, sync_dist=True)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the correlations of the last validation."""
        moments = _to_draw(self._similarities)
        if moments is None or moments.n == 0:
            return
        values = correlation_matrix(moments).cpu()
        figure = unit_correlations(values, "stitched unit", "target unit")
        add_figure(trainer, "similarity/units", figure)


def _to_draw(similarities: LayerSimilarities) -> Moments | None:
    """The sums, if a measure needs them: per location, if one is asked for.

    Of whole examples, fewer than units, there are none, unless a measure goes unit by unit.
    """
    flattenings = similarities.flattenings
    names = [name for name in flattenings if similarities.kind(name) == "moments"]
    names.sort(key=lambda name: flattenings[name] != "per_location")
    if not (names and similarities.rows):
        return None
    moments: Moments = similarities.pair(names[0], "stitched", "target")
    by_unit = any(MEASURES[name].by_unit for name in flattenings)
    few = bool(moments.rows) and flattenings[names[0]] == "per_sample"
    return None if few and not by_unit else moments
