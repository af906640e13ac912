"""Training a dictionary of one layer of a frozen network."""

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from frankenstein.data.seeded import seeded
from frankenstein.dictionaries import Dictionary, mean_and_scale, resample
from frankenstein.errors import UserError
from frankenstein.shapes import ShapeError, per_location
from frankenstein.surgery import Cut, join
from frankenstein.tasks.means import Mean
from frankenstein.tasks.optimizers import make_optimizer, two_cuts
from frankenstein.tasks.stitching import Frozen

_PLACES, _RESAMPLING = 7, 8  # keep these draws apart from those of other purposes
_SCALED_ON = 2_000  # images: a mean and a scale need no more


class DictionaryFit(pl.LightningModule):
    """Fits a dictionary to a layer: squared error, and an L1 penalty unless it keeps the k largest.

    Rows are places of the layer, `rows` of them drawn from every batch; the draw depends on the
    seed and the step only. The layer is normalised as `mean_and_scale` finds it on training images
    before the first step, so the error is the share of variance that is not explained, and
    `penalty` times the sum of strengths is added to it. Directions have unit length after every
    step. Of a crosscoder that is the length over all networks, and a strength counts times the sum
    of its direction's lengths in each: L1 over networks as in Lindsey et al. 2024,
    https://transformer-circuits.pub/2024/crosscoders, so that a feature of one alone is cheaper
    than a shared one. At the end of each epoch but the last third's, features that were active at
    no row of that epoch are resampled.

    What is frozen stays where it is, and checkpoints hold the dictionary alone. For one device.
    """

    strict_loading = False  # a checkpoint does not repeat the frozen network
    active: Tensor  # (F,) bool: features that this epoch has needed so far

    def __init__(
        self,
        halves: Cut,  # images to the layer, and from there to answers; frozen
        dictionary: Dictionary,
        *,
        penalty: float = 0.1,  # of L1; a dictionary with k needs none, and none is added
        rows: int = 2048,  # of each batch, at most
        lr: float = 3e-3,
        seed: int = 0,
        parts: Sequence[int] = (),  # units of each network, of a crosscoder; of one if absent
    ) -> None:
        super().__init__()
        self.halves = halves
        # A Cut is a tuple: its halves are registered here, so that they follow to the device.
        self.frozen = Frozen([*self.halves])
        self.dictionary = dictionary
        self.penalty = penalty if dictionary.k is None else 0.0
        self.rows, self.lr, self.seed, self.parts = rows, lr, seed, parts
        self.held_out_error = Mean()
        self.register_buffer("active", torch.zeros(dictionary.features, dtype=torch.bool))

    def on_fit_start(self) -> None:
        """Find how the layer is normalised, unless a checkpoint knows it."""
        if self.trainer.ckpt_path is not None:
            return
        data: Any = getattr(self.trainer, "datamodule", None)
        if not hasattr(data, "train_batches"):
            raise UserError(
                "the layer's mean and scale come from the data module's train_batches(); give fit "
                "a data module that has it"
            )
        batches = data.train_batches(_SCALED_ON)
        read = (self.halves.front(images.to(self.device)) for images, _ in batches)
        self.dictionary.mean, self.dictionary.scale = mean_and_scale(read)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the network with the reconstruction in the layer's place."""
        return self.halves.end(self.dictionary(self.halves.front(images)))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Share of variance that is not explained, and the penalty."""
        rows = self._drawn(batch[0], self.global_step)
        strength = self.dictionary.encode(rows)
        self.active |= (strength.detach() > 0).any(0)
        error = ((rows - self.dictionary.decode(strength)) / self.dictionary.scale).square()
        loss = unexplained = error.sum(1).mean()
        if self.penalty:
            loss = unexplained + self.penalty * self._sparsity(strength)
        self.log_dict(
            {
                "train/loss": loss.detach(),
                "train/unexplained": unexplained.detach(),
                "train/l0": (strength.detach() > 0).sum(1).float().mean(),
            }
        )
        return loss

    def _sparsity(self, strength: Tensor) -> Tensor:  # (N, F) -> ()
        """Sum of strengths, each times the length of its direction in every network, summed."""
        if not self.parts:
            return strength.sum(1).mean()  # of one network all lengths are 1
        parts = self.dictionary.decoder.split([*self.parts])
        return (strength * sum(part.norm(dim=0) for part in parts)).sum(1).mean()

    def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
        """At the end of an epoch, resample the features that it did not need."""
        if not self.trainer.is_last_batch:
            return
        epochs = self.trainer.max_epochs or 1
        if 3 * (self.current_epoch + 1) <= 2 * epochs:
            step = self.global_step
            optimizer: Any = self.optimizers(use_pl_optimizer=False)
            draw = seeded(self.seed, _RESAMPLING, step)
            resample(self.dictionary, ~self.active, self._drawn(batch[0], step), optimizer, draw)
        self.active.zero_()

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """The same of held-out images."""
        rows = self._drawn(batch[0], index)
        error = ((rows - self.dictionary(rows)) / self.dictionary.scale).square().sum(1).mean()
        self.held_out_error.update(error, len(rows))
        self.log("val/unexplained", self.held_out_error)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Adam, its learning rate cut twice; it sees the dictionary only."""
        optimizer = make_optimizer("adam", self.dictionary.parameters(), self.lr, weight_decay=0.0)
        return [optimizer], [two_cuts(optimizer, self.trainer.max_epochs or 1)]

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Gradients change directions, not their lengths."""
        self.dictionary.before_step()

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """A step, then back to unit directions."""
        super().optimizer_step(*args, **kwargs)
        self.dictionary.after_step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen network out."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if not k.startswith("frozen.")}

    @torch.no_grad()
    def _drawn(self, images: Tensor, step: int) -> Tensor:
        """Places of the layer on these images, without repeats."""
        rows = per_location(self.halves.front(images))
        if len(rows) <= self.rows:
            return rows
        order = torch.randperm(len(rows), generator=seeded(self.seed, _PLACES, step))
        return rows[order[: self.rows].to(rows.device)]


class SparseAutoencoder(DictionaryFit):
    """The same of a layer of a network, by its name."""

    def __init__(
        self,
        network: nn.Module,
        layer: str,
        dictionary: Dictionary,
        *,
        look: nn.Module | None = None,  # at a batch, see `Joint.seeing`
        **options: Any,  # as of `DictionaryFit`
    ) -> None:
        network.requires_grad_(False).eval()
        joint = join(network, network, layer, layer).seeing(look, look)
        if joint.source.units != dictionary.units:
            raise ShapeError(
                f"layer {layer!r} has {joint.source.units} units and the dictionary "
                f"{dictionary.units}; make it of the layer's"
            )
        super().__init__(joint.sender, dictionary, **options)
