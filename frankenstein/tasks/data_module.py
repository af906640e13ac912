"""Image data for a Trainer; without augmentation, each frozen front half runs once an image."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from frankenstein.data.batches import Batches, prefetch
from frankenstein.data.changes import Changes, marked
from frankenstein.data.images import ImageData
from frankenstein.data.seeded import of_step, seeded
from frankenstein.memory import free_memory
from frankenstein.tasks.objectives import Pass
from frankenstein.tasks.stitching import Stitching

_MARKER = 3  # keeps draws apart from those of other purposes, of the same seed
_OWNERS = {
    "source": "the sender's",
    "target": "the receiver's",
    "target_later": "the receiver's later",  # by layer
}


class DataModule(pl.LightningDataModule):
    """Image data as Lightning takes it.

    trainer.fit(task, DataModule(data))
    """

    def __init__(self, data: ImageData, changes: Changes = Changes()) -> None:  # noqa: B008
        super().__init__()
        self.data, self.changes = data, changes
        self.train_batches = data.train_batches  # for tasks that solve before they train

    def prepare_data(self) -> None:
        """Download what is absent."""
        self.data.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Load the data, once, whatever the number of stages."""
        self.data.setup()

    def train_dataloader(self) -> Batches:
        """Shuffled whole batches, still uint8."""
        batches = self.data.shuffled_batches()
        batches.left_to_do = self.data.prepare
        if self.changes.random_labels:
            batches.labels = self.changes.relabelled(batches.labels, self.data.num_classes)
        return batches

    def val_dataloader(self) -> Batches:
        """The held-out part, still uint8."""
        batches = self.data.val_batches()
        batches.transform = None
        batches.left_to_do = self.data.prepare
        return batches

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Augment while training, then prepare, on the device where the batch has arrived.

        The draws depend on the step only, so that a resumed run makes the same ones.
        """
        images, labels = batch
        trainer, data, changes = self._trainer, self.data, self.changes
        step = trainer.global_step, trainer.global_rank
        if trainer.training:
            draw = of_step(data.order_seed, *step)
            for _ in range(changes.augmentation):
                images = data.augment(images, draw)
        images = self._prepared(images)
        if changes.marker is not None:
            # Held-out images have it anywhere: what is scored is what the network sees beside it.
            told = changes if trainer.training else Changes(marker=0.0)
            draw = seeded(data.order_seed, _MARKER, *step)
            images = marked(images, told.placed(labels, data.num_classes, draw), data.num_classes)
        return images, labels

    def _prepared(self, images: Tensor) -> Tensor:
        # Lightning has set the precision of inputs before, when these were still integers.
        return self._trainer.precision_plugin.convert_input(self.data.prepare(images))

    @property
    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None  # Lightning sets it before it calls anything here
        return self.trainer


class Unaugmented(DataModule):
    """Image data without augmentation, for one stitching task: each front half runs once an image.

    With augmentation, no representation is needed twice. Without it, those that the objective reads
    (the source, and some read the target) are computed in one pass before the first of several
    epochs, and kept while training lasts: in memory where the task trains, if they fit in a share
    of what is free there. How many bytes that is, and whether they fit, is said first. What comes
    out does not depend on it: batches, and every number in them, are the same either way.

        trainer.fit(task, Unaugmented(data, task))
    """

    def __init__(
        self,
        data: ImageData,
        task: Stitching,
        share: float = 0.5,  # of free memory, at most
        say: Callable[[str], object] = print,
    ) -> None:
        super().__init__(data)
        self.task, self.share, self.say = task, share, say
        self._kept: dict[str, Tensor] = {}  # name in Pass -> (N, ...), a row per training image

    def train_dataloader(self) -> Batches:
        """The data's training batches: of images or, where these are known, of row numbers."""
        batches = super().train_dataloader()
        if not self._kept and self._trainer.max_epochs != 1:
            self._kept = self._compute(batches)
        if not self._kept:
            return batches
        return Batches(torch.arange(len(batches.labels)), batches.labels, batches.order)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Row numbers become what is known of these images."""
        rows, labels = batch
        if not self._kept or not self._trainer.training:
            return batch
        some = {name: z[rows.to(z.device)] for name, z in self._kept.items()}
        return _nested(some), labels

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Images are prepared, and not augmented, on the device where they have arrived."""
        images, labels = batch
        return batch if isinstance(images, dict) else (self._prepared(images), labels)

    def teardown(self, stage: str) -> None:
        """Give the memory back."""
        self._kept = {}

    @torch.no_grad()
    def _compute(self, batches: Batches) -> dict[str, Tensor]:
        """What the objective reads of every training image; nothing if it does not fit."""
        kept: dict[str, Tensor] = {}
        names: list[str] = []  # of what the objectives read
        # As many images at once as in training: a library may choose its method by that number.
        size = -(-self.data.batch_size // self._trainer.world_size)
        blocks = _blocks(len(batches.labels), size)
        with self._trainer.precision_plugin.train_step_context():
            for rows, images in prefetch((rows, batches.images[rows]) for rows in blocks):
                now = self.task.one_pass(
                    (
                        self._prepared(images.to(self.task.device)),
                        batches.labels[rows].to(self.task.device),
                    )
                )
                if not kept:
                    for objective in self.task.stages:
                        objective(now)  # computes what it reads, and nothing else
                    names = [name for name in _OWNERS if name in vars(now)]
                    kept = self._room(_flat(now, names), len(batches.labels))
                if not kept:
                    return {}
                for name, z in _flat(now, names).items():
                    kept[name][rows] = z
        return kept

    def _room(self, some: dict[str, Tensor], examples: int) -> dict[str, Tensor]:
        """Empty tensors for that many rows like those of some; none if they do not fit."""
        each = sum(z[0].numel() * z.element_size() for z in some.values())
        # Processes on one machine share its memory; a GPU has its own.
        sharing = 1 if self.task.device.type == "cuda" else self._trainer.num_devices
        most = self.share * free_memory(self.task.device) / sharing
        fits = examples * each <= most
        if self._trainer.is_global_zero:
            owners = " and ".join(dict.fromkeys(_OWNERS[_owner(name)] for name in some))
            verdict = "kept" if fits else "not kept, computed anew for every batch"
            self.say(
                f"{owners} representations of {examples:,} training images x {each:,} bytes = "
                f"{_megabytes(examples * each)}, of {_megabytes(most)} that may be taken: {verdict}"
            )
        if not fits:
            return {}
        # Strides stay too: channels that come last would else be computed with in another order.
        return {
            name: z.new_empty_strided((examples, *z.shape[1:]), z.stride())
            for name, z in some.items()
        }


def _flat(now: Pass, names: Iterable[str]) -> dict[str, Tensor]:
    """Tensors of a pass by name; of those by layer one for each: "target_later/bn5"."""
    flat: dict[str, Tensor] = {}
    for name in names:
        z = getattr(now, name)
        if isinstance(z, dict):
            flat |= {f"{name}/{layer}": one for layer, one in z.items()}
        else:
            flat[name] = z
    return flat


def _nested(flat: dict[str, Tensor]) -> dict[str, Any]:
    """The same as `Pass` has them."""
    known: dict[str, Any] = {}
    for name, z in flat.items():
        owner, by_layer, layer = name.partition("/")
        if by_layer:
            known.setdefault(owner, {})[layer] = z
        else:
            known[owner] = z
    return known


def _owner(name: str) -> str:
    return name.partition("/")[0]


def _blocks(examples: int, size: int) -> Iterator[slice]:
    """All rows in blocks of exactly that size; the last one overlaps."""
    for start in range(0, examples, size):
        end = min(start + size, examples)
        yield slice(end - size, end)


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.0f} MB"
