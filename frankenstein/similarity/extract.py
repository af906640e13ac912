"""Layers of a network as a file of activations, a row for each held-out example."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from frankenstein.activations.saved import CLASSES, ROWS
from frankenstein.activations.write import check_place, numbers_of, write_activations
from frankenstein.data import ImageData
from frankenstein.data.text import Text
from frankenstein.networks.data import data_for, look_of, open_all
from frankenstein.networks.network import Network
from frankenstein.report.progress import progress
from frankenstein.runs.plan import Command
from frankenstein.runs.provenance import provenance
from frankenstein.shapes import FLATTENINGS
from frankenstein.similarity.extract_plan import ExtractPlan
from frankenstein.similarity.matrices import behind, masked
from frankenstein.surgery.blocks import telling_layers
from frankenstein.surgery.read import Wanted, reading
from frankenstein.training.device import device_of


def run_extract(plan: ExtractPlan, command: Command) -> None:
    """Run the plan of `extract`."""
    check_place(Path(plan.output), 1, 0)
    (network,) = open_all({"network": plan.network}, plan.model, **plan.told)
    dataset = plan.dataset or network.dataset
    data = data_for(
        network, dataset, plan.data_root, eval_batch_size=plan.batch_size, texts=plan.texts
    )
    path = extract(
        *(network, data, plan.output, plan.names, device_of(plan.accelerator), plan.quiet, dataset),
        plan.flattening,
    )
    Console().out(path, highlight=False)


@torch.no_grad()
def extract(
    network: Network,
    data: ImageData,  # of `data_for`
    path: str | Path,
    layers: Wanted | None = None,
    device: torch.device | str | None = None,
    quiet: bool = True,
    dataset: str | None = None,
    flattening: str | None = None,
) -> Path:
    """Write what layers of a network make of the held-out examples, in the data set's own order.

    The file is .safetensors, .npz or .npy (`write_activations`), which says how large it is before
    it is written; `open_activations` reads it. Layers are as in `reading`. Each example is written
    as it is, unless a flattening is named, `per_sample`, `pooled` or `last`; sentences are pooled.
    Beside them stand which examples they are, "index", and their classes, "labels", but in .npy.

    Raises:
        LayerError: for a layer that is not there.
        FileError: if the file cannot be written.
    """
    look = look_of(network, data)
    wanted = layers or telling_layers(network.module)
    with reading(network.module, wanted, device) as read_seen:
        whole = behind(look, masked(read_seen, wanted))
        flattening = flattening or ("pooled" if isinstance(data, Text) else None)
        flatten = FLATTENINGS[flattening] if flattening else lambda z: z

        def read(batch: Tensor) -> dict[str, Tensor]:
            return {name: flatten(z) for name, z in whole(batch).items()}

        example = read(data.blank())
        beside = {} if Path(path).suffix == ".npy" else _which(data, example)
        placed = numbers_of(data.num_val, example | beside)
        size = sum(one.end - one.start for one in placed.values())
        check_place(Path(path), len(placed), size)
        if not quiet:
            Console().out(
                f"{', '.join(example)} of {data.num_val:,} held-out {data.called}, beside "
                f"{data.num_train:,} for training: {size / 1e6:,.1f} MB\n{_told(data, beside)}",
                highlight=False,
            )

        def blocks() -> Iterator[dict[str, Tensor]]:
            done = 0
            for images, _ in progress(data.val_batches(), "extracting layers", quiet):
                rows = slice(done, done := done + len(images))
                yield read(images) | {name: one[rows] for name, one in beside.items()}

        facts = {
            "network": network.source,
            "network_sha256": network.sha256,
            "dataset": dataset,
            "part": "held-out",
            "flattening": flattening,
            "examples": data.num_val,
            **provenance(),
        }
        return write_activations(path, placed, blocks(), facts)


def _which(data: ImageData, layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Which examples the held-out ones are, and their classes; nothing that a layer is called."""
    known = {ROWS: data.val_rows}
    if data.labelled and (labels := data.val_labels).ndim == 1:
        known[CLASSES] = labels.long()
    return {name: one for name, one in known.items() if name not in layers}


def _told(data: ImageData, beside: Mapping[str, Tensor]) -> str:
    """Which examples they are, and how to get others, in a line."""
    said = {
        ROWS: f"index says which of {'its file' if isinstance(data, Text) else 'them'} each is",
        CLASSES: f"labels of which of {len(data.classes)} classes",
    }
    line = ", and ".join(said[name] for name in beside) or (
        ".npy does not hold which of them a row is; .npz and .safetensors do"
    )
    if isinstance(data, Text) and len(data.files) == 1:
        line += "; of a file that is the held-out text, too, all are written"
    return line
