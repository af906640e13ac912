"""Training all stitches that start at one sender layer, which share its pass."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from frankenstein.labels import hits
from frankenstein.stitches import Stitch
from frankenstein.surgery import Cut
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.lighten import lighten
from frankenstein.surgery.read import Reader
from frankenstein.tasks.objectives import Objective, Pass, task_loss
from frankenstein.tasks.optimizers import make_optimizer, stage_at, two_cuts


class StitchingTogether(pl.LightningModule):
    """Fits stitches from one sender layer to several receiver layers, each by its own optimizer.

    What comes out is what `Stitching` makes of each alone with the same batches, bit for bit; the
    sender runs once a batch for all, and so does the receiver if targets are asked for. The halves
    are frozen, lie on the device already, and stay as they are. For one device, in full precision
    or bfloat16.
    """

    automatic_optimization = False

    def __init__(
        self,
        sender: Cut,
        receivers: Mapping[str, Cut],  # halves of the receiver, by layer
        aligns: Mapping[str, nn.Module],
        stitches: Mapping[str, Stitch],
        read_targets: nn.Module,  # images -> {layer: target}, by one pass of the receiver
        *,
        # Of all stitches, or by layer what each is trained for, one after the other.
        objective: Objective | Mapping[str, Sequence[Objective]] = task_loss,
        later: Mapping[str, Sequence[str]] | None = None,  # by layer; see `Stitching`
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        optimizer: str = "adam",
    ) -> None:
        super().__init__()
        self.stitches = nn.ModuleList(stitches.values())
        self.layers = tuple(stitches)
        # A dict keeps them from being registered, and so from train() and from checkpoints.
        self.frozen: dict[str, Any] = {
            "sender": lighten(sender),
            "receivers": {layer: lighten(halves) for layer, halves in receivers.items()},
            "aligns": dict(aligns),
            "read_targets": read_targets,
            "behind": {
                layer: Reader.of_end(receivers[layer].end, [*layers, OUTPUT])
                for layer, layers in (later or {}).items()
                if layers
            },
        }
        self.objectives = (
            dict.fromkeys(stitches, (objective,)) if callable(objective) else objective
        )
        self.stages = next(iter(self.objectives.values()))
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer_name = optimizer

    def passes(self, batch: tuple[Tensor, Tensor]) -> Iterator[tuple[str, Pass]]:
        """One batch through every stitch, nothing of it computed yet."""
        images, labels = batch
        shared = _Shared(images, self.frozen)
        for layer, stitch in zip(self.layers, self.stitches, strict=True):
            receiver, align = self.frozen["receivers"][layer], self.frozen["aligns"][layer]
            behind = self.frozen["behind"].get(layer)
            sender = self.frozen["sender"]
            now = _SharedPass(images, labels, sender, stitch, receiver, align, behind)
            vars(now).update(shared=shared, layer=layer)
            yield layer, now

    def on_fit_start(self) -> None:
        """As `Stitching` does."""
        self.stitches.train()

    def on_fit_end(self) -> None:
        """As `Stitching` does."""
        self.stitches.eval()

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """A step of every stitch on one batch."""
        wrapped: Any = self.optimizers()
        wrapped = wrapped if isinstance(wrapped, list) else [wrapped]
        stage = stage_at(self, self.current_epoch)
        for (layer, now), optimizer in zip(self.passes(batch), wrapped, strict=True):
            loss = self.objectives[layer][stage](now)
            optimizer.zero_grad()
            self.manual_backward(loss)
            # The Trainer counts the steps of the first only: augmentation is drawn by that count.
            (optimizer if layer == self.layers[0] else optimizer.optimizer).step()
            now.stitch.after_step(optimizer.optimizer)  # type: ignore[operator]

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        """Accuracy of every grafted network on held-out examples."""
        for layer, now in self.passes(batch):
            right = hits(now.logits, now.labels).float().mean()
            self.log(f"val/accuracy/{layer}", right, batch_size=len(now.labels))

    def on_train_epoch_start(self) -> None:
        """As `Stitching` does."""
        begins = stage_at(self, self.current_epoch)
        if self.current_epoch and begins != stage_at(self, self.current_epoch - 1):
            wrapped: Any = self.optimizers(use_pl_optimizer=False)
            for optimizer in wrapped if isinstance(wrapped, list) else [wrapped]:
                optimizer.state.clear()

    def on_train_epoch_end(self) -> None:
        """The learning rates' course."""
        schedulers: Any = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer for each stitch, with its learning rate cut twice."""
        optimizers = [
            make_optimizer(self.optimizer_name, stitch.parameters(), self.lr, self.weight_decay)
            for stitch in self.stitches
        ]
        epochs = self.trainer.max_epochs or 1
        stages = len(self.stages)
        return optimizers, [two_cuts(optimizer, epochs, stages) for optimizer in optimizers]


class _Shared:
    """What all stitches see of one batch; each is made when first read."""

    def __init__(self, images: Tensor, frozen: dict[str, Any]) -> None:
        self.images, self.frozen = images, frozen

    @cached_property
    def source(self) -> Tensor:
        with torch.no_grad():
            return self.frozen["sender"].front(self.images)

    @cached_property
    def targets(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.frozen["read_targets"](self.images)

    @cached_property
    def sender_logits(self) -> Tensor:
        with torch.no_grad():
            return self.frozen["sender"].end(self.source)

    @cached_property
    def receiver_logits(self) -> Tensor:
        layer, target = next(iter(self.targets.items()))
        with torch.no_grad():
            return self.frozen["receivers"][layer].end(target)


class _SharedPass(Pass):
    """A pass of one stitch that takes from the shared one what does not depend on the stitch."""

    shared: _Shared
    layer: str

    @property
    def source(self) -> Tensor:
        return self.shared.source

    def _read_target(self) -> Tensor:
        return self.shared.targets[self.layer]

    @property
    def sender_logits(self) -> Tensor:
        return self.shared.sender_logits

    @property
    def receiver_logits(self) -> Tensor:
        return self.shared.receiver_logits
