"""One run that stitches every layer to every layer."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from frankenstein.errors import Interrupted, UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.checks import check_data, data_for
from frankenstein.runs.folder import run_folder
from frankenstein.runs.names import stitch_name
from frankenstein.stitching.control_options import SCORED_ON
from frankenstein.stitching.matrix.cells import CELLS, Cells
from frankenstein.stitching.matrix.fill import fill
from frankenstein.stitching.matrix.page import left_out, write_matrix
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.results import Results
from frankenstein.stitching.matrix.solve import Pair, make_stitches
from frankenstein.stitching.matrix.work import Work, debug_images, kinds, seeds_of
from frankenstein.stitching.options import (
    check_matrix,
    check_numbers,
    epochs_of,
    make_stitch,
    objective_of,
)
from frankenstein.stitching.pair import load_networks
from frankenstein.surgery.layer_set import layer_set
from frankenstein.training.trainer import device_of, quiet_lightning
from frankenstein.zoo import network_sha256

# Larger batches of maps do not stay in a CPU's cache, and every step of a pass waits for memory.
_BATCH = {"cpu": 50, "cuda": 250}


def run_matrix(values: dict[str, Any], config: str) -> tuple[Path, Results]:
    """Run `frankenstein stitch --all` with these values; returns its folder and results."""
    _check(values)
    objective_of(values)
    epochs, device = epochs_of(values), device_of(values["accelerator"])
    sender, receiver, card = load_networks(values)
    networks = sender.to(device), receiver.to(device)
    sides = (
        layer_set(sender, values["sender_layers"], values["flatten"]),
        layer_set(receiver, values["receiver_layers"], values["flatten"]),
    )
    dataset = values["dataset"] or card.dataset
    data = data_for(
        receiver,
        dataset,
        values,
        eval_batch_size=_BATCH[device.type],
        cards={"network": card},
    )
    if not values["augment"]:
        data.augment = lambda images, generator: images  # type: ignore[method-assign]
    empty = PairMoments(sides[0].layouts, sides[1].layouts, device)
    _, refused = make_stitches(*sides, empty, partial(make_stitch, values))
    console = Console(quiet=values["quiet"])
    for line in left_out(values):
        console.out(line, highlight=False)
    if epochs:
        check_data(data, values["quiet"])
    name = values["run_name"] or stitch_name(values, dataset)
    folder = run_folder(values["out_dir"], "stitch", name, config, values["resume"], CELLS)
    with folder as run, quiet_lightning():
        run.say_name()
        work = Work(values, networks, sides, data, device, Cells(run.path), refused)
        try:
            fill(work, epochs)
        except Interrupted:
            run.unfinished = True
            if (so_far := _gathered(work, epochs)).found:
                write_matrix(run, f"{name} (unfinished)", values, so_far)
            raise
        results = _gathered(work, epochs)
        shas = {"sender": network_sha256(sender), "receiver": network_sha256(receiver)}
        run.summary.update(results.summary())
        run.facts |= {
            "networks": shas,
            "device": str(device),
            "seeds": {"stitch": seeds_of(values)},
        }
        write_matrix(run, name, values, results)
    return run.path, results


def _gathered(work: Work, epochs: int) -> Results:
    found: dict[str, dict[str, dict[Pair, list[float]]]] = {}
    for kind, seed in kinds(work.values, epochs):
        for s in work.sides[0].names:
            if (kind, seed, s) not in work.cells:
                continue
            for t, cell in work.cells[kind, seed, s].items():
                for what, value in cell.items():
                    lists = found.setdefault(kind, {}).setdefault(what, {})
                    lists.setdefault((s, t), []).append(value)
    every, few = len(work.data.val_labels), debug_images(work.values)
    images = {
        "untrained": min(few or SCORED_ON, every),
        **dict.fromkeys(("solved", "trained"), min(few or every, every)),
    }
    chance = most_frequent(work.data.val_labels)
    return Results(work.sides[0].names, work.sides[1].names, found, work.refused, images, chance)


def _check(values: Mapping[str, Any]) -> None:
    check_numbers(values)
    check_matrix(values)
    if values["devices"] not in ("auto", "1") or values["strategy"] != "auto":
        raise UserError("a matrix of stitches is made on one device; leave out --devices")
    if values["precision"] not in ("32-true", "bf16-mixed"):
        raise UserError(
            f"a matrix of stitches is trained in 32-true or bf16-mixed, got {values['precision']}"
        )
