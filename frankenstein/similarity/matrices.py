"""How alike are the layers of two networks: one pass over the data for all pairs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError
from frankenstein.measures import LayerSimilarities
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.similarity.batches import in_blocks
from frankenstein.surgery.read import Wanted, reading

Layers = Mapping[str, Tensor]  # {layer: (N, ...)}


def similarity_matrix(
    sender: nn.Module,
    receiver: nn.Module,
    batches: Iterable[Any],
    measure: str = "unbiased_cka",
    sender_layers: Wanted | None = None,
    receiver_layers: Wanted | None = None,
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    device: torch.device | str | None = None,
) -> LabelledMatrix:
    """A measure, by name, of every layer of one network with every layer of another.

    Any two modules and any iterable of batches will do: tensors, tuples whose first is the input,
    or dicts with it. Layers are names, globs ("layer1.*", in which "*" crosses dots), "modules" or
    "cut points", which is what None takes; see `reading`. Networks are in evaluation mode for the
    pass and come back as they were: no hooks, mode, device.

    Each measure flattens as `LayerSimilarities` says unless a flattening is named. Unbiased CKA per
    sample is estimated from blocks of `block` examples, whatever the size of the batches. If none
    is named, up to 512 inputs (of no more than 2²³ numbers together) are one block, which is the
    measure exactly, and more are blocks of 64, which is an estimate of it: see benchmarks/ for
    how far off. A block's layers are in memory at once. Measures that need the examples
    themselves keep at most `limit`.

    Raises:
        LayerError: for a layer that a network does not have, or that is not one tensor.
        UserError: for an unknown measure, a batch without an input, or NaN or Inf in a layer.

    >>> from torch.nn import Linear, ReLU, Sequential
    >>> one, other = (Sequential(Linear(3, 8), ReLU(), Linear(8, 2)) for _ in range(2))
    >>> matrix = similarity_matrix(one, other, [torch.randn(20, 3)], "linear_cka", ["0", "1"], "*")
    >>> matrix.rows, matrix.columns, matrix.flattening
    (('0', '1'), ('0', '1', '2'), 'pooled')
    """
    if not isinstance(measure, str):
        raise UserError(f"one measure by name, got {measure!r}; similarity_matrices takes several")
    every = similarity_matrices(
        sender,
        receiver,
        batches,
        [measure],
        sender_layers,
        receiver_layers,
        flattening,
        block,
        limit,
        device,
    )
    return every[measure]


def similarity_matrices(
    sender: nn.Module,
    receiver: nn.Module,
    batches: Iterable[Any],
    measures: Sequence[str],
    sender_layers: Wanted | None = None,
    receiver_layers: Wanted | None = None,
    flattening: str | None = None,
    block: int | None = None,
    limit: int = 2000,
    device: torch.device | str | None = None,
    watch: Callable[[Layers, Layers, Tensor], object] | None = None,
) -> dict[str, LabelledMatrix]:
    """As `similarity_matrix`, of several measures in one pass, by name.

    `watch` is told of every batch of the pass: all layers of each network, and the inputs.
    """
    plan = LayerSimilarities(measures, flattening)
    wants_grams = any(plan.kind(measure) == "grams" for measure in plan.flattenings)
    size, inputs_of_all = in_blocks(batches, block if wants_grams else 1)
    kept = LayerSimilarities(measures, flattening, size, limit)
    seen = 0
    with (
        reading(sender, sender_layers, device) as ours,
        reading(receiver, receiver_layers, device) as theirs,
    ):
        for inputs in inputs_of_all:
            xs, ys = ours(inputs), theirs(inputs)
            kept.update(xs, ys, inputs if kept.needs_inputs else None)
            if watch is not None:
                watch(xs, ys, inputs)
            seen += len(inputs)
    counted = {"grams": kept.grams.n if kept.grams else 0, "examples": min(seen, limit)}
    return {
        name: LabelledMatrix(
            values,
            kept.rows,
            kept.columns,
            name,
            kept.flattenings[name],
            counted.get(kept.kind(name), seen),
            size if kept.kind(name) == "grams" else None,
        )
        for name, values in kept.values().items()
    }
