"""One comparison of two networks, all layers asked for, from two files to a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from frankenstein.cli.verbs.compare_words import ALIASES, layers_of
from frankenstein.networks.accuracy import accuracies, accuracy_line
from frankenstein.networks.checks import at_least, data_for
from frankenstein.report.labelled import LabelledMatrix
from frankenstein.report.progress import progress
from frankenstein.runs.folder import run_folder
from frankenstein.runs.names import networks_name
from frankenstein.similarity.how_sure import announce, check_options, drawn, kept_for
from frankenstein.similarity.matrices import similarity_matrices
from frankenstein.similarity.page import write_comparison
from frankenstein.similarity.representations import bytes_of_one
from frankenstein.similarity.resampling import Certainty
from frankenstein.stitching.pair import check_model, load_pair
from frankenstein.training.trainer import device_of
from frankenstein.zoo import network_sha256, read_card

_SIDES = ("sender", "receiver")


class Compared(NamedTuple):
    """What a comparison found, by measure, and the folder where it is written."""

    folder: Path
    matrices: dict[str, LabelledMatrix]
    sure: Mapping[str, Certainty]  # empty unless asked for
    accuracies: str  # in words


def run_compare(values: dict[str, Any], config: str) -> Compared:
    """Run `frankenstein compare` with these values."""
    at_least(batch_size=(values["batch_size"], 1), block=(values["block"] or 4, 4))
    check_options(values)
    check_model(values["model"], values["sender"], values["receiver"])
    networks = load_pair(values["sender"], values["receiver"], values["model"])
    dataset = values["dataset"] or read_card(values["receiver"], values["model"]).dataset
    data = data_for(networks[1], dataset, values, eval_batch_size=values["batch_size"])
    device = device_of(values["accelerator"])
    layers = [layers_of(values[f"{side}_layer"]) for side in _SIDES]
    measures = [ALIASES.get(word, word) for word in values["measures"]] or ["unbiased_cka"]
    kept = kept_for(values, measures)
    if kept is not None:
        size = sum(map(bytes_of_one, networks, layers))
        announce(kept, size, len(data.val_labels), values["quiet"])
    files = [values[side] for side in _SIDES]
    name = values["run_name"] or networks_name(files, dataset, values["model"], "-vs-")
    with run_folder(values["out_dir"], "compare", name, config) as run:
        matrices = similarity_matrices(
            networks[0],
            networks[1],
            progress(data.val_batches(), "comparing layers", values["quiet"]),
            measures,
            layers[0],
            layers[1],
            flattening=values["flattening"],
            block=values["block"],
            limit=values["keep"],
            device=device,
            watch=None if kept is None else kept.update,
        )
        sure: dict[str, Certainty] = {}
        if kept is not None:
            flattenings = {name: matrix.flattening for name, matrix in matrices.items()}
            sure = drawn(kept, flattenings, values)
        for measure, matrix in matrices.items():
            for row in matrix.rows:
                for column in matrix.columns:
                    run.summary[f"{measure}/{row}/{column}"] = matrix[row, column]
        found = accuracies(
            dict(zip(_SIDES, networks, strict=True)), run.cards, data, device, values["quiet"]
        )
        run.summary |= found
        run.facts["networks"] = {
            side: network_sha256(network) for side, network in zip(_SIDES, networks, strict=True)
        }
        first = next(iter(matrices.values()))
        run.facts |= {"device": str(device), "examples": len(data.val_labels)}
        run.facts["dataset"] = dataset
        run.facts |= {"block": first.block, "kept": None if kept is None else len(kept)}
        run.facts["flattenings"] = {name: matrix.flattening for name, matrix in matrices.items()}
        write_comparison(run, name, values, matrices, sure)
    return Compared(run.path, matrices, sure, accuracy_line(found, len(data.val_labels), dataset))
