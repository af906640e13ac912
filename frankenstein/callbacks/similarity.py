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
from frankenstein.data.loaders import come_again, without
from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities, correlation_matrix
from frankenstein.report import unit_correlations
from frankenstein.shapes import has_no_float64
from frankenstein.tasks.loaders import validation_loaders


class RepresentationSimilarity(pl.Callback):
    """Logs measures between two representations, by name, as
    `similarity/<measure>/<flattening>`.

    Works with any LightningModule that has a method `representations(batch)` returning two tensors
    of the same examples; a measure of the inputs too takes `batch[0]`, one within classes the
    labels, `batch[1]`. It rides on the validation that runs anyway: sums, and for measures that do
    not follow from them at most `limit` examples, are kept on the device where the representations
    are, or on the CPU if it has no float64 (mps). Only the finished numbers leave it. Of several
    validation loaders each has its own values (`.../dataloader_idx_1`), and on several processes no
    example counts twice.
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
        self._similarities: dict[int, LayerSimilarities] = {}  # by loader
        self._needs_inputs = self._empty().needs_inputs
        self._needs_labels = self._empty().needs_labels

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a module that has nothing to compare, before the first epoch."""
        if not callable(getattr(pl_module, "representations", None)):
            raise UserError(
                f"RepresentationSimilarity needs {type(pl_module).__name__}.representations(batch) "
                "to return two tensors; add that method"
            )

    def on_validation_epoch_start(self, *_: Any) -> None:
        """Forget the last epoch's examples."""
        self._similarities = {}

    @torch.no_grad()
    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add a batch, less the examples that another process has, too.

        Raises:
            UserError: if that is not known, on several processes.
        """
        stitched, target = pl_module.representations(batch)
        loader = validation_loaders(trainer)[dataloader_idx]
        again = come_again(loader, batch_idx, len(stitched))
        inputs = without(batch[0], again) if self._needs_inputs else None
        labels = without(batch[1], again) if self._needs_labels else None
        kept = self._similarities.setdefault(dataloader_idx, self._empty())
        both = {"stitched": without(stitched, again)}, {"target": without(target, again)}
        kept.update(*both, inputs, labels)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Turn what was kept into numbers, once for all processes."""
        if trainer.sanity_checking:
            return
        count = len(validation_loaders(trainer))
        for index in range(count):
            # A process may have no batch of a loader; all meet in the sums all the same.
            similarities = self._similarities.setdefault(index, self._empty()).all_reduce()
            ending = f"/dataloader_idx_{index}" if count > 1 else ""
            for name, flattening in similarities.flattenings.items():
                value = similarities.value(name, "stitched", "target")
                if has_no_float64(pl_module.device):
                    value = value.float().to(pl_module.device)
                key = f"similarity/{name}/{flattening}{ending}"
                pl_module.log(key, value, sync_dist=True, add_dataloader_idx=False)

    @rank_zero_only
    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw the correlations of the last validation, of its first loader."""
        moments = _to_draw(self._similarities.get(0, self._empty()))
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
