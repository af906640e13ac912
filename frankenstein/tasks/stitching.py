"""Training a stitch between two frozen networks."""

from collections.abc import Iterable, Sequence
from typing import Any, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from frankenstein.accumulators.anchors import Anchored
from frankenstein.accumulators.folds import Folds
from frankenstein.accumulators.moments import Moments
from frankenstein.accumulators.small_sample import AdaptiveMoments
from frankenstein.data.examples import called
from frankenstein.data.loaders import check_batches
from frankenstein.labels import questions
from frankenstein.shapes import ShapeError, per_location
from frankenstein.stitches import Stitch, start
from frankenstein.surgery import Joint, join
from frankenstein.surgery.capture import OUTPUT
from frankenstein.surgery.inputs import Inputs
from frankenstein.surgery.lighten import lighten
from frankenstein.surgery.read import Reader
from frankenstein.tasks.batches import Reading, check_labels_there
from frankenstein.tasks.loaders import once
from frankenstein.tasks.means import Accuracy, Mean
from frankenstein.tasks.objectives import Objective, Pass, task_loss
from frankenstein.tasks.optimizers import make_optimizer, stage_at, two_cuts

_ON_CPU = 50  # images at once: what a layer makes of them stays in the cache for the next


class Stitching(pl.LightningModule):
    """Fits a stitch from the sender's layer to the receiver's layer; nothing else changes.

    Both networks are frozen where they are: no gradients, always in evaluation mode, whoever calls
    `train()`, so that BatchNorm statistics stay too. Checkpoints hold the stitch alone.
    """

    strict_loading = False  # a checkpoint does not repeat the frozen networks

    def __init__(
        self,
        sender: nn.Module,
        receiver: nn.Module,
        sender_layer: str,
        receiver_layer: str,
        stitch: Stitch,
        *,
        start: str = "random",
        objective: Objective | Sequence[Objective] = task_loss,  # several: one after the other
        later: Sequence[str] = (),  # layers of the receiver behind the cut that it follows
        flatten: bool = False,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        optimizer: str = "adam",
        looks: tuple[nn.Module | None, nn.Module | None] = (None, None),  # see `Joint.seeing`
        inputs: Inputs | None = None,  # a batch as both networks take it, where they do not say
    ) -> None:
        super().__init__()
        for network in (sender, receiver):
            network.requires_grad_(False).eval()
        joint = join(sender, receiver, sender_layer, receiver_layer, flatten, inputs)
        joint = joint.seeing(*looks)
        # Who looks at batches for themselves are shown what is the project's own.
        self._reading = Reading([sender, receiver], own=any(look is not None for look in looks))
        self.sender, self.receiver, self.align = joint.sender, joint.receiver, joint.align
        _check_units(stitch, joint)
        self.light = lighten(self.sender), lighten(self.receiver)
        # A Cut is a tuple: its halves are registered here, so that they follow to the device.
        self.behind = Reader.of_end(self.receiver.end, [*later, OUTPUT]) if later else None
        behind = [] if self.behind is None else [self.behind]
        self.frozen = Frozen(
            [*self.sender, *self.receiver, *self.light[0], *self.light[1], *behind]
        )
        self.stitch = stitch
        self.start = start
        # They share the epochs equally, and each begins with a fresh optimizer.
        self.stages = (objective,) if callable(objective) else tuple(objective)
        self.objective = self.stages[0]
        self.lr = lr
        self.weight_decay = weight_decay
        self.optimizer_name = optimizer
        self.accuracy, self.held_out_loss = Accuracy(), Mean()
        self._validated: Pass | None = None
        self._validated_batch: Any = None

    def on_fit_end(self) -> None:
        """The stitch is done; one with statistics of batches goes by those that it kept."""
        self.stitch.eval()

    def on_fit_start(self) -> None:
        """Put the stitch at its start, unless a checkpoint has put it further."""
        self.stitch.train()
        if self.start == "random" or self.trainer.ckpt_path is not None:
            return
        moments = None
        if self.start == "solved":
            data: Any = getattr(self.trainer, "datamodule", None)
            if hasattr(data, "train_batches"):
                moments = self.moments(data.train_batches())
            else:  # the loader that it is trained with
                self.trainer.fit_loop.setup_data()
                loader: Any = self.trainer.train_dataloader
                moments = self.moments(loader)
        start(self.stitch, self.start, moments)

    def moments(self, batches: Iterable[Any]) -> Moments:
        """Moments of the source, laid like the target, with the target: what a stitch is solved by.

        Batches are as in `fit`; those of a loader that shuffles and drops the last ones are what it
        gives in one pass.

        Raises:
            UserError: for a data set, whose items are single examples.
        """
        rows = AdaptiveMoments(per_location)
        with torch.no_grad():
            for inputs, _ in self._reading.labelled(batches):
                inputs = inputs.to(self.device)
                size = _ON_CPU if self.device.type == "cpu" else len(inputs)
                sender, receiver = self._fronts(inputs)
                for part in inputs.split(size):
                    rows.update(self.align(sender(part)), receiver(part))
        return rows.all_reduce().frozen()

    def _fronts(self, inputs: Any) -> tuple[nn.Module, nn.Module]:
        both = zip((self.sender, self.receiver), self._reading.networks, strict=True)
        one, other = (self._reading.halves(halves, of, inputs) for halves, of in both)
        return one.front, other.front

    def forward(self, images: Any) -> Tensor:
        """Logits of the grafted network."""
        return self.receiver.end(self.stitch(self.align(called(self.sender.front, images))))

    def one_pass(self, batch: Any) -> Pass:
        """One batch, of which nothing is computed yet: inputs and labels, as `given` reads them."""
        return self._pass(*self._reading(batch))

    def _pass(self, images: Any, labels: Any) -> Pass:
        sender, receiver = (
            self._reading.halves(halves, network, images)
            for halves, network in zip(self.light, self._reading.networks, strict=True)
        )
        return Pass(images, labels, sender, self.stitch, receiver, self.align, self.behind)

    def representations(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Stitched and target: what RepresentationSimilarity compares."""
        done = self._validated
        now = done if done is not None and self._validated_batch is batch else self.one_pass(batch)
        return now.stitched, now.target

    def on_train_epoch_start(self) -> None:
        """Where another objective begins, nothing is left of the steps before but the stitch."""
        begins = stage_at(self, self.current_epoch)
        if self.current_epoch and begins != stage_at(self, self.current_epoch - 1):
            optimizer: Any = self.optimizers(use_pl_optimizer=False)
            optimizer.state.clear()

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The objective of one batch."""
        now = self.one_pass(batch)
        check_labels_there(now.labels)
        loss = self.stages[stage_at(self, self.current_epoch)](now)
        self.log("train/loss", loss.detach())
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        """Objective and accuracy on held-out examples."""
        read = self._reading(batch)
        check_labels_there(read[1])
        own = once(self, read, index)
        if not len(own[1]):
            return
        now = self._validated = self._pass(*own)
        self._validated_batch = batch if own[0] is read[0] else None
        self.accuracy.update(now.logits, now.labels)
        self.log("val/accuracy", self.accuracy)
        loss = self.stages[stage_at(self, self.current_epoch)](now)
        self.held_out_loss.update(loss, questions(now.labels))
        self.log("val/loss", self.held_out_loss)

    def on_validation_end(self) -> None:
        """Let go of the last batch."""
        self._validated = self._validated_batch = None

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer by name, its learning rate cut twice; it sees the stitch only."""
        optimizer = make_optimizer(
            self.optimizer_name, self.stitch.parameters(), self.lr, self.weight_decay
        )
        epochs = self.trainer.max_epochs or 1
        return [optimizer], [two_cuts(optimizer, epochs, len(self.stages))]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """A gradient step, then back into the family."""
        super().optimizer_step(*args, **kwargs)
        self.stitch.after_step(self.optimizers(use_pl_optimizer=False))  # type: ignore[arg-type]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen networks out."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {k: v for k, v in state.items() if k.startswith("stitch.")}


def _check_units(stitch: Stitch, joint: Joint) -> None:
    wanted, made = (
        (joint.source.units, joint.target.units),
        (stitch.in_channels, stitch.out_channels),
    )
    if made != wanted:
        raise ShapeError(
            f"the cuts need a stitch from {wanted[0]} to {wanted[1]} units, got one from "
            f"{made[0]} to {made[1]}; make it of the units that `cut_points` shows"
        )


class Frozen(nn.ModuleList):
    """Modules that stay in evaluation mode: the statistics of a frozen half would drift."""

    def train(self, mode: bool = True) -> Self:
        """Stay as they are, whoever calls."""
        return super().train(False)


@torch.no_grad()
def matching_moments(
    sender_front: nn.Module,
    receiver_front: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    rows: AdaptiveMoments | Folds | Anchored | None = None,  # empty, of places; see `Solving`
) -> Any:
    """Moments of the two representations, place by place, over all batches; or their folds."""
    check_batches(batches)
    rows = AdaptiveMoments(per_location) if rows is None else rows
    for images, _ in batches:
        images = images.to(device)
        for part in images.split(_ON_CPU if images.device.type == "cpu" else len(images)):
            rows.update(sender_front(part), receiver_front(part))
    rows.all_reduce()
    return rows if isinstance(rows, Folds) else rows.frozen()
