"""Two loaders, one for each network: taken if they give the same examples, refused if not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from frankenstein.activations import Activations
from frankenstein.data import ImageData
from frankenstein.data.batches import Batches
from frankenstein.data.examples import Examples, Inputs
from frankenstein.data.own import OwnData
from frankenstein.data.padding import there_of
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.similarity.shown import Shown, Side, shown_to

_ROLES = ("sender", "receiver")
_ADVICE = "let both give the number of each example in the data as its label"


def are_two(batches: Any) -> bool:
    """Whether these are two loaders, and not batches in a tuple."""
    pair = isinstance(batches, list | tuple) and len(batches) == 2
    return pair and all(
        isinstance(one, DataLoader | Dataset | ImageData)
        or all(hasattr(one, f"{part}_dataloader") for part in ("train", "val"))
        for one in batches
    )


def shown_to_each(sides: Sequence[Side], loaders: Sequence[Any]) -> tuple[Shown, Shown, Shown]:
    """What both are shown together, and what each looks at of it.

    Row i of one is held to be row i of the other: both are read in one order, that of their data
    sets. In each batch inputs have to be equal, or labels, of which there are two or more.

    Raises:
        UserError: for activations, padded text, or loaders of unequal length; while iterating, if
            examples are not the same, or nobody can tell.
    """
    if any(isinstance(side, Activations) for side in sides):
        raise UserError("two loaders are for two networks, and activations need none; give one")
    halves = []
    for role, side, loader in zip(_ROLES, sides, loaders, strict=True):
        data = OwnData(f"the {role}'s DataLoader", loader)
        shown = shown_to([side], data if isinstance(loader, DataLoader) else loader)
        if isinstance(shown.data, Text) or there_of(shown.first) is not None:
            raise UserError(
                "two loaders of padded text are not followed; give one loader whose batches hold "
                "what each network takes, or the data set text, which each cuts for itself"
            )
        halves.append(replace(shown, part=_Part(role)))
    ours, theirs = halves
    if ours.examples != theirs.examples:
        raise UserError(
            f"the sender's loader gives {ours.examples} examples and the receiver's "
            f"{theirs.examples}; two loaders give the same examples"
        )
    return Shown(_Pairs(ours.batches, theirs.batches)), ours, theirs  # type: ignore[arg-type]


class _Part(nn.Module):
    """From the inputs of both networks to those of one."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role

    def forward(self, both: Examples) -> Inputs:
        return both.parts[self.role]


@dataclass(frozen=True)
class _Pairs:
    """Batches of the same examples, as each of two loaders gives them."""

    ours: Batches
    theirs: Batches

    def __len__(self) -> int:
        return len(self.ours)

    def __iter__(self) -> Iterator[tuple[Examples, Tensor]]:
        again = Batches(self.theirs.images, self.theirs.labels, self.ours.order)
        again.transform = self.theirs.transform
        met: Tensor | None = None  # the first label
        by_labels = several = False
        for (x, labels), (y, others) in zip(self.ours, again, strict=True):
            if not _equal(x, y):
                by_labels = True
                _check_labels(labels, others)
            if labels.numel():
                met = labels[0] if met is None else met
                several = several or bool((labels != met).any())
            yield Examples({_ROLES[0]: x, _ROLES[1]: y}), labels
        if by_labels and not several:
            raise UserError(
                "the two loaders give unequal inputs and one label for all, and nobody can tell "
                f"whether these are the same examples; {_ADVICE}"
            )


def _equal(x: Inputs, y: Inputs) -> bool:
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return x.dtype == y.dtype and torch.equal(x, y)
    if isinstance(x, Tensor) or isinstance(y, Tensor) or x.parts.keys() != y.parts.keys():
        return False
    return all(_equal(z, y.parts[key]) for key, z in x.parts.items())


def _check_labels(labels: Tensor, others: Tensor) -> None:
    """Refuse examples of which labels do not say that they are the same."""
    if not labels.numel() or not others.numel():
        raise UserError(
            "the two loaders give unequal inputs, and not both give labels, so that nobody can "
            f"tell whether these are the same examples; {_ADVICE}"
        )
    if labels.shape != others.shape or not torch.equal(labels, others):
        raise UserError(
            "the two loaders give other labels for the same row of their data, so examples are not "
            "the same or in another order; give two loaders of the same examples"
        )
