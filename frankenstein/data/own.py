"""A user's own data: what a DataLoader, a Dataset or a LightningDataModule of theirs gives."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
)

from frankenstein.data.batches import Batches, Order, in_order, mixed, shuffled
from frankenstein.data.examples import Inputs
from frankenstein.data.images import ImageData
from frankenstein.data.preprocessing import Preprocessing
from frankenstein.data.raw import eyes_on_raw
from frankenstein.data.rows import Labels, Rows, rows_of
from frankenstein.errors import DataError, UserError, counted
from frankenstein.labels import by_token, several
from frankenstein.user_code import check_no_arguments, named_in_code

_PARTS = {"train": "training", "val": "held-out"}


class OwnData(ImageData):
    """The examples of a user's loaders, read row by row, in whatever order a pass wants.

    A LightningDataModule has a training part and a held-out one (its validation, else its test
    part), and so has {"train": loader, "val": loader}; any other loader or data set is held out.
    Rows are taken from the loader's data set and put together by its `collate_fn`; what comes in
    one order only, such as of an IterableDataset or a list of batches, is kept in memory. Inputs
    are given to networks as they are, but for uint8 images (N, C, H, W), which each network sees in
    its own way, and float64, which becomes the network's precision.
    """

    called = "examples"
    augments = True  # nothing is changed at random but by the user's own data set

    def __init__(
        self,
        name: str,  # as the user named it
        source: Any,  # a DataLoader, Dataset, LightningDataModule, or {"train": ..., "val": ...}
        batch_size: int = 128,
        eval_batch_size: int = 250,
        order_seed: int = 0,
    ) -> None:
        self.name = name
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.order_seed = order_seed
        self._loaders = _loaders_of(name, source)
        self._parts: dict[str, Rows] = {}
        self._networks: Sequence[nn.Module] = ()
        self.answers: dict[nn.Module, tuple[int, ...]] = {}  # shapes, of two examples
        self._states = [source, *(getattr(one, "dataset", one) for one in self._loaders.values())]

    def shown_to(self, networks: Sequence[nn.Module]) -> "OwnData":
        """The same, read for these networks; before anything is read."""
        self._networks = networks
        return self

    def setup(self) -> None:
        """Look at the first batch of each part."""
        if not self._parts:
            self._parts = {
                part: rows_of(f"{self.name}, {_PARTS[part]}", loader, self._networks)
                for part, loader in self._loaders.items()
            }

    def check(self, show: Any = None) -> None:
        """Nothing is read through before: it is the user's to know what it holds."""
        self.setup()

    @property
    def lines(self) -> list[str]:  # type: ignore[override]
        """How batches are read, in words."""
        held_out = self.part("val")
        return [f"{self.name}: {held_out.given.line}", *held_out.notes]

    def part(self, which: str) -> "Rows":
        """The training or the held-out examples.

        Raises:
            DataError: if there is no such part.
        """
        self.setup()
        if which not in self._parts:
            raise DataError(
                f"this needs {_PARTS[which]} examples, and {self.name} gives others only; give a "
                'LightningDataModule, or {"train": loader, "val": loader}'
            )
        return self._parts[which]

    def blank(self, count: int = 2) -> Inputs:
        """The first inputs: what black would be, nobody knows."""
        return self.part("val")[:count]

    def example_for(self, network: nn.Module) -> Inputs | None:
        """What a network takes of the first inputs; None for images that it has to look at."""
        if self.pictured:
            return None
        look, inputs = self.part("val").given.look(network), self.blank()
        return inputs if look is None else look(inputs)

    @property
    def pictured(self) -> bool:  # type: ignore[override]
        """Whether inputs are uint8 images, which a person can look at."""
        return self.part("val").pictured

    @property
    def labelled(self) -> bool:  # type: ignore[override]
        """Whether there are labels."""
        return self.part("val").given.labels is not None

    @property
    def multilabel(self) -> bool:  # type: ignore[override]
        """Whether an example has several labels, yes or no each."""
        return self.labelled and several(self._first_label)

    @property
    def classed(self) -> bool:
        """Whether every example has one class."""
        return self.labelled and self._first_label.ndim == 1

    @property
    def _first_label(self) -> Tensor:
        return self.part("val").labels_at(torch.arange(1))

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """Their names; () if the user's data do not say."""
        names = next((one.classes for one in self._states if _is_named(one)), ())
        return tuple(map(str, names))

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """How many there are; if the user's data do not say, as many as the labels go up to."""
        return self._stated or (int(self.val_labels.max()) + 1 if self.labelled else 0)

    @property
    def _stated(self) -> int:
        """How many classes there are as the user's data say; 0 if they do not."""
        if self.multilabel:
            return self._first_label.shape[1]
        return len(self.classes)

    def can_be_answered(self, shape: tuple[int, ...]) -> bool:
        """Whether the labels ask what an answer of such a shape says, and no class beyond it."""
        if not self.labelled or self.misfit(shape):
            return False
        return self.multilabel or int(self.val_labels.max()) < shape[-1]

    def misfit(self, shape: tuple[int, ...]) -> str | None:
        """Why an answer (N, C), or (N, T, C), says nothing of the labels; None if it may.

        From the first labels alone: a class may be beyond it.
        """
        tokens = by_token(self._first_label)
        if len(shape) != (3 if tokens else 2):
            has = "a label for each token, (N, T)" if tokens else "one class for each example"
            advice = "one class for each, or 0.0 and 1.0 for several labels"
            if not tokens:
                advice = "labels (N, T), -100 where none is asked for"
            return f"{self.name} has {has}, and answers to two are {shape}; give {advice}"
        if self._stated not in (0, shape[-1]):
            return (
                f"{self.name} has {counted(self._stated, 'class', 'classes')}, and answers tell "
                f"{shape[-1]} apart; give the labels of the training"
            )
        return None

    def judge(self, classes: int) -> None:
        """Refuse labels beyond so many classes when they come by."""
        for part in self._parts.values():
            part.told_apart = classes

    def look_for(self, network: nn.Module) -> nn.Module | None:
        """From several inputs to those that a network takes; None if there is one."""
        return self.part("val").given.look(network)

    def eyes_for(
        self, image_size: int, preprocessing: Preprocessing | None, channels: int | None = None
    ) -> Preprocessing:
        """What its images become, in full, for a network that takes such images.

        Raises:
            DataError: if nobody says how they are normalised.
        """
        return eyes_on_raw((channels or self.in_channels, image_size, image_size), preprocessing)

    @property
    def in_channels(self) -> int:  # type: ignore[override]
        """Of its images."""
        return self.seen_shape[0]

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """Of one example, if it is one tensor; () if it is several."""
        some = self.blank()
        return tuple(some.shape[1:]) if isinstance(some, Tensor) else ()

    def prepare(self, images: Tensor) -> Tensor:
        """Nothing: it is given as it is."""
        return images

    @property
    def train_images(self) -> Any:  # type: ignore[override]
        """Inputs of the training part, by rows."""
        return self.part("train")

    @property
    def val_images(self) -> Any:  # type: ignore[override]
        """Inputs of the held-out part, by rows."""
        return self.part("val")

    @property
    def train_labels(self) -> Tensor:  # type: ignore[override]
        """Of all training examples; those that no pass has met yet are read."""
        return self.part("train").labels_at(torch.arange(len(self.part("train"))))

    @property
    def val_labels(self) -> Tensor:  # type: ignore[override]
        """Of all held-out examples; likewise."""
        return self.part("val").labels_at(torch.arange(len(self.part("val"))))

    @property
    def num_train(self) -> int:
        """Training examples."""
        return len(self.part("train"))

    @property
    def num_val(self) -> int:
        """Held-out examples."""
        return len(self.part("val"))

    def train_batches(self, examples: int | None = None, draw: int = 0) -> Batches:
        """Training examples for one pass: all, or a random choice, the same for a `draw`."""
        return self._batches("train", lambda n: in_order(n, self.eval_batch_size, examples, draw))

    def val_batches(self, examples: int | None = None) -> Batches:
        """Held-out examples for one pass: all of them, or a fixed random choice."""
        return self._batches("val", lambda n: in_order(n, self.eval_batch_size, examples))

    def mixed_val_batches(self, examples: int | None = None) -> Batches:
        """Those of `val_batches` in one random order."""
        return self._batches("val", lambda n: mixed(n, self.eval_batch_size, examples))

    def shuffled_batches(self) -> Batches:
        """What training takes: shuffled whole batches."""
        return self._batches("train", lambda n: shuffled(n, self.batch_size, self.order_seed))

    def label_columns(self, labels: Tensor) -> dict[str, list[str]]:
        """The labels in words, or in numbers where they have no names."""
        if not self.labelled or by_token(labels):
            return {}
        if self.classes and len(self.classes) == self._stated:
            return super().label_columns(labels)
        columns = labels.reshape(len(labels), -1).T.long().tolist()
        names = ["class"] if len(columns) == 1 else [f"label {i}" for i in range(len(columns))]
        return {name: [*map(str, one)] for name, one in zip(names, columns, strict=True)}

    def _batches(self, which: str, order: Callable[[int], Order]) -> Batches:
        part = self.part(which)
        return Batches(part, Labels(part), order(len(part)))  # type: ignore[arg-type]


def own_data(name: str, **options: Any) -> OwnData:
    """The data that a user's own code names, `my_data.py:val_loader`: what it gives, or is.

    A function is called once, without arguments.

    Raises:
        UserError: if there is no such name, or it is no data.
    """
    return OwnData(name, _made(name), **options)


@cache
def _made(name: str) -> Any:
    _, thing = named_in_code(name)
    if callable(thing) and not isinstance(thing, DataLoader | Dataset):
        check_no_arguments(name, thing)
        try:
            return thing()
        except UserError:
            raise
        except Exception as error:  # the user's own code
            reason = " ".join(str(error).split())
            raise UserError(f"{name} failed ({type(error).__name__}: {reason})") from error
    return thing


def _loaders_of(name: str, source: Any) -> dict[str, Any]:
    """The loaders of each part.

    Raises:
        DataError: if these are no data.
    """
    if hasattr(source, "train_dataloader") and hasattr(source, "val_dataloader"):
        return _of_module(name, source)
    if isinstance(source, Mapping) and source and {*source} <= {"train", "val", "test"}:
        held_out = source.get("val", source.get("test"))
        if held_out is None:
            raise DataError(f'{name} gives no held-out examples; name them {{"val": loader}}')
        return {"val": held_out} | ({"train": source["train"]} if "train" in source else {})
    if not isinstance(source, Dataset) and not isinstance(source, Iterable):
        raise DataError(
            f"{name} is a {type(source).__name__}; data are a DataLoader, a Dataset, a "
            'LightningDataModule, or {"train": loader, "val": loader}'
        )
    return {"val": source}


def _of_module(name: str, module: Any) -> dict[str, Any]:
    """The loaders of a LightningDataModule, set up as a Trainer would."""
    module.prepare_data()
    module.setup("fit")
    loaders = {}
    for part, ways in (("train", ["train"]), ("val", ["val", "test"])):
        for way in ways:
            if way == "test":
                module.setup("test")
            try:
                found = getattr(module, f"{way}_dataloader")()
            except Exception as error:
                if type(error).__name__ == "MisconfigurationException":  # it has none
                    continue
                raise
            if isinstance(found, list | tuple) and found and not isinstance(found[0], Tensor):
                found = found[0]  # several loaders: the first
            if found is not None and part not in loaders:
                loaders[part] = found
    if "val" not in loaders:
        raise DataError(f"{name} gives no held-out examples: it has no val_dataloader")
    return loaders


def _is_named(one: Any) -> bool:
    names = getattr(one, "classes", None)
    return isinstance(names, list | tuple) and len(names) > 0
