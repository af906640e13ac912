"""Layers of a network as a file of activations, a row for each held-out example."""

from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

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

        placed = numbers_of(data.num_val, read(data.blank()))
        size = sum(one.end - one.start for one in placed.values())
        check_place(Path(path), len(placed), size)
        if not quiet:
            Console().out(
                f"{', '.join(placed)} of {data.num_val} held-out {data.called}: "
                f"{size / 1e6:,.1f} MB",
                highlight=False,
            )

        def blocks() -> Iterator[dict[str, Tensor]]:
            for images, _ in progress(data.val_batches(), "extracting layers", quiet):
                yield read(images)

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
