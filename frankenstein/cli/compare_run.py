"""One comparison of two networks, from two files to a folder."""

from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from frankenstein.cli.checks import at_least, data_for
from frankenstein.cli.joint import load_pair
from frankenstein.cli.run_folder import RunFolder, run_folder, short_name
from frankenstein.cli.run_report import write_run_report
from frankenstein.cli.trainer import device_of
from frankenstein.cli.waiting import waiting
from frankenstein.compare import LabelledMatrix, similarity_matrix
from frankenstein.report import Picture, markdown_table
from frankenstein.zoo import network_sha256, read_card

_SIDES = ("sender", "receiver")


def run_compare(values: dict[str, Any], config: str) -> tuple[Path, LabelledMatrix]:
    """Run `frankenstein compare` with these values; returns its folder and the matrix."""
    at_least(batch_size=(values["batch_size"], 4))
    networks = load_pair(values["sender"], values["receiver"], values["model"])
    dataset = values["dataset"] or read_card(values["receiver"], values["model"]).dataset
    data = data_for(networks[1], dataset, values, eval_batch_size=values["batch_size"])
    device = device_of(values["accelerator"])
    name = values["run_name"] or "-vs-".join(short_name(values[side]) for side in _SIDES)
    with run_folder(values["out_dir"], "compare", name, config) as run:
        matrix = similarity_matrix(
            networks[0].to(device),
            networks[1].to(device),
            waiting(data.val_batches(), "comparing layers", values["quiet"]),
            sender_layers=_one(values["sender_layer"]),
            receiver_layers=_one(values["receiver_layer"]),
            device=device,
        )
        matrix.to_csv(run.path / "matrix.csv")
        _write(run, matrix, name, values)
        for row in matrix.rows:
            for column in matrix.columns:
                run.summary[f"{matrix.measure}/{row}/{column}"] = matrix[row, column]
        run.facts["networks"] = {
            side: network_sha256(network) for side, network in zip(_SIDES, networks, strict=True)
        }
        run.facts |= {"device": str(device), "examples": matrix.examples, "block": matrix.block}
    return run.path, matrix


def _one(layer: str | None) -> list[str] | None:
    return None if layer is None else [layer]


def _write(run: RunFolder, matrix: LabelledMatrix, name: str, values: dict[str, Any]) -> None:
    """The report and TensorBoard's page."""
    figure = matrix.plot()
    best = matrix.values.nan_to_num(-1).argmax(1).tolist()
    rows = [
        [layer, matrix.columns[best[i]], float(matrix.values[i, best[i]])]
        for i, layer in enumerate(matrix.rows)
    ]
    write_run_report(
        run,
        f"Similarity of layers: {name}",
        [
            f"`{values['sender']}` (rows) against `{values['receiver']}` (columns): "
            f"{matrix.measure}, flattened {matrix.flattening}, over {matrix.examples} held-out "
            f"images in blocks of {matrix.block}.",
            Picture(
                "matrix",
                figure,
                "Each cell compares one layer of each network: 1 for the same representation up "
                "to rotation, shift and scale, about 0 for unrelated ones. A bright diagonal says "
                "that the networks do alike things at alike depths.",
            ),
            markdown_table(rows, ["sender's layer", "most alike in the receiver", matrix.measure]),
            "Every value is in `matrix.csv`.",
        ],
    )
    with SummaryWriter(str(run.path)) as writer:
        writer.add_figure(f"similarity/{matrix.measure}", figure)
