"""Representations of a bounded number of examples, one row each, of all layers in one pass."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.questions.question import Watcher
from frankenstein.shapes import num_units, pooled
from frankenstein.surgery.untouched import evaluating

Layers = Mapping[str, Tensor]  # {layer: representation}


@dataclass(frozen=True)
class Sample:
    """What networks make of the same examples: a row per example, a column per unit.

    Maps and tokens are means over places.
    """

    of: Mapping[str, Layers]  # {role: {layer: (N, C)}}
    labels: Tensor  # (N,), or (N, L) of several labels

    def __len__(self) -> int:
        return len(self.labels)


@torch.no_grad()
def read_sample(
    readers: Mapping[str, nn.Module],  # role: images to {layer: representation}
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    watchers: Sequence[Watcher] = (),
) -> Sample:
    """Every reader over every batch, once; watchers see each whole batch as it goes by.

    Cost: one forward pass of each network; memory for a row per example, see `sample_bytes`.

    Raises:
        UserError: if there are no examples.
    """
    rows: dict[str, dict[str, list[Tensor]]] = {role: {} for role in readers}
    labels: list[Tensor] = []
    for inputs, classes in batches:
        inputs, classes = inputs.to(device), classes.to(device)
        batch = {role: reader(inputs) for role, reader in readers.items()}
        for watcher in watchers:
            watcher(batch, classes)
        for role, layers in batch.items():
            for layer, z in layers.items():
                rows[role].setdefault(layer, []).append(pooled(z))
        labels.append(classes)
    if not labels:
        raise UserError("no examples were given; is the data set empty?")
    of = {
        role: {layer: torch.cat(parts) for layer, parts in layers.items()}
        for role, layers in rows.items()
    }
    return Sample(of, torch.cat(labels))


@torch.no_grad()
def sample_bytes(
    readers: Mapping[str, nn.Module],
    blank: Any,  # two inputs, in any precision
    examples: int,
) -> int:
    """How many bytes `read_sample` would keep, from a look at two inputs, such as black images."""
    total = 0
    for reader in readers.values():
        some = next(reader.parameters(), torch.empty(0))
        with evaluating(reader):
            shapes = [tuple(z.shape) for z in reader(_as(some, blank)).values()]
        total += examples * some.element_size() * sum(map(num_units, shapes))
    return total


def _as(some: Tensor, inputs: Any) -> Any:
    """Inputs on the device of a network's weights; in their precision, unless they are ids."""
    if isinstance(inputs, Tensor) and not inputs.is_floating_point():
        return inputs.to(some.device)
    return inputs.to(some.device, some.dtype)
