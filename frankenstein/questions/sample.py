"""Representations of a bounded number of examples, one row each, of all layers in one pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.shapes import num_units, pooled
from frankenstein.similarity.representations import units_first
from frankenstein.surgery import capture
from frankenstein.surgery.trace import evaluating

Layers = Mapping[str, Tensor]  # {layer: representation}
# Told of every batch: what each network makes of it, {"sender": {layer: (N, C, ...)}, ...}, units
# on the second axis of maps and on the last of tokens and vectors; and the labels.
Watcher = Callable[[Mapping[str, Layers], Tensor], object]


@dataclass(frozen=True)
class Sample:
    """What networks make of the same examples: a row per example, a column per unit.

    Maps and tokens are means over places.
    """

    of: Mapping[str, Layers]  # {"sender": {layer: (N, C)}, "receiver": ..., "untrained_sender": ..}
    labels: Tensor  # (N,), or (N, L) of several labels
    images: Tensor | None = None  # (N, C, H, W), as the networks saw them

    @property
    def sender(self) -> Layers:
        """{layer: (N, C)} of the first network."""
        return self.of["sender"]

    @property
    def receiver(self) -> Layers:
        """{layer: (N, C)} of the second network."""
        return self.of["receiver"]

    def __len__(self) -> int:
        return len(self.labels)


class Reader(nn.Module):
    """Images to `{layer: representation}`, maps with their channels first."""

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.captured = capture(network, layers)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Of every layer."""
        return {layer: units_first(z) for layer, z in self.captured(images).items()}


@torch.no_grad()
def read_sample(
    readers: Mapping[str, nn.Module],  # whose: images to {layer: representation}
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device | str = "cpu",
    watchers: Sequence[Watcher] = (),
    images: bool = False,  # whether to keep the images, too
) -> Sample:
    """Every reader over every batch, once; watchers see each whole batch as it goes by.

    Cost: one forward pass of each network; memory for a row per example, see `sample_bytes`.

    Raises:
        UserError: if there are no examples.
    """
    rows: dict[str, dict[str, list[Tensor]]] = {whose: {} for whose in readers}
    labels: list[Tensor] = []
    seen: list[Tensor] = []
    for inputs, classes in batches:
        inputs, classes = inputs.to(device), classes.to(device)
        found = {whose: reader(inputs) for whose, reader in readers.items()}
        for watcher in watchers:
            watcher(found, classes)
        for whose, layers in found.items():
            for layer, z in layers.items():
                rows[whose].setdefault(layer, []).append(pooled(z))
        labels.append(classes)
        if images:
            seen.append(inputs)
    if not labels:
        raise UserError("no examples were given; is the data set empty?")
    of = {
        whose: {layer: torch.cat(parts) for layer, parts in layers.items()}
        for whose, layers in rows.items()
    }
    return Sample(of, torch.cat(labels), torch.cat(seen) if images else None)


@torch.no_grad()
def sample_bytes(
    readers: Mapping[str, nn.Module], input_shape: Sequence[int], examples: int
) -> int:
    """How many bytes `read_sample` would keep, from a look at two black images."""
    total = 0
    for reader in readers.values():
        some = next(reader.parameters(), torch.empty(0))
        with evaluating(reader):
            black = torch.zeros(2, *input_shape, dtype=some.dtype, device=some.device)
            shapes = [tuple(z.shape) for z in reader(black).values()]
        total += examples * some.element_size() * sum(map(num_units, shapes))
    return total
