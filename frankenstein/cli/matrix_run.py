"""One run that stitches every layer to every layer: solve, train, score, keep what is done."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import nn

from frankenstein.callbacks import progress_bar
from frankenstein.cli.checks import check_data, data_for
from frankenstein.cli.controls import SCORED_ON, solved_on, untrained_sender
from frankenstein.cli.joint import load_networks
from frankenstein.cli.matrix_cells import CELLS, Cells, Row
from frankenstein.cli.matrix_report import left_out, write_matrix
from frankenstein.cli.matrix_results import Results
from frankenstein.cli.run_folder import run_folder
from frankenstein.cli.run_names import stitch_name
from frankenstein.cli.stitch_options import (
    check_numbers,
    epochs_of,
    make_stitch,
    objective_of,
    start_stitch,
)
from frankenstein.cli.trainer import bare_trainer, device_of, quiet_lightning
from frankenstein.cli.waiting import waiting
from frankenstein.compare.layer_set import LayerSet, layer_set
from frankenstein.compare.pair_moments import PairMoments
from frankenstein.compare.stitching_matrix import (
    Pair,
    StitchingMatrix,
    from_second_moments,
    make_stitches,
    measure_pairs,
    pair_moments,
    score_stitches,
)
from frankenstein.data import ImageData
from frankenstein.errors import Interrupted, UserError
from frankenstein.stitches import Stitch
from frankenstein.surgery import join
from frankenstein.tasks.together import StitchingTogether
from frankenstein.zoo import network_sha256

# Larger batches of maps do not stay in a CPU's cache, and every step of a pass waits for memory.
_BATCH = {"cpu": 50, "cuda": 250}


class Work(NamedTuple):
    """What every step of a run needs."""

    values: Mapping[str, Any]
    networks: tuple[nn.Module, nn.Module]  # sender and receiver
    sides: tuple[LayerSet, LayerSet]
    data: ImageData
    device: torch.device
    cells: Cells
    refused: dict[Pair, str]


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
        work = Work(values, networks, sides, data, device, Cells(run.path), refused)
        try:
            _fill(work, epochs, name)
        except Interrupted:
            run.unfinished = True
            if (so_far := _gathered(work, epochs)).found:
                write_matrix(run, f"{name} (unfinished)", values, so_far)
            raise
        results = _gathered(work, epochs)
        shas = {"sender": network_sha256(sender), "receiver": network_sha256(receiver)}
        run.summary.update(results.summary())
        run.facts |= {"networks": shas, "device": str(device), "seeds": {"stitch": _seeds(values)}}
        write_matrix(run, name, values, results)
    return run.path, results


def _fill(work: Work, epochs: int, name: str) -> None:
    """Make every row that is not kept yet."""
    values, cells, names = work.values, work.cells, work.sides[0].names
    keys = [(*kind, s) for kind in _kinds(values, epochs) for s in names]
    if all(key in cells for key in keys):
        return
    quiet, few = values["quiet"], _few(values)
    fast = work.sides[0].folded(), work.sides[1].folded()
    solving = waiting(work.data.train_batches(few or values["solve_on"]), f"solving {name}", quiet)
    moments = pair_moments(*fast, solving, work.device)

    def score(stitches: Mapping[Pair, Stitch], what: str) -> StitchingMatrix:
        held_out = work.data.val_batches(few)
        batches = waiting(held_out, f"scoring {what}", quiet) if what else held_out
        return score_stitches(*fast, moments, stitches, batches, work.device)

    for kind, seed in _kinds(values, epochs):
        if kind == "trained" or all((kind, seed, s) in cells for s in names):
            continue
        if kind == "untrained":
            _keep(cells, (kind, seed), names, {"accuracy": _untrained(work)})
            continue
        stitches = _made({**values, "seed": seed}, work, moments)
        if kind == "measures":
            found = measure_pairs(moments, stitches, _measures(values))
            _keep(cells, (kind, seed), names, found)
            continue
        for pair, stitch in stitches.items():
            stitch.solve(moments.moments(*pair))
        _keep(cells, (kind, seed), names, _scores(score(stitches, name)))
    if rows := [key for key in keys if key[0] == "trained" and key not in cells]:
        _train_rows(work, rows, epochs, moments, score, name)


def _untrained(work: Work) -> dict[Pair, float]:
    """The control: accuracy of the same stitches, solved from a sender that has learned nothing."""
    values, few, data = work.values, _few(work.values), work.data
    sender = layer_set(
        untrained_sender(values, work.device), work.sides[0].names, values["flatten"]
    )
    sides = sender.folded(), work.sides[1].folded()
    wanted = solved_on(*(layout.units for side in sides for layout in side.layouts.values()))
    solving = waiting(data.train_batches(few or wanted), "solving controls", values["quiet"])
    moments = pair_moments(*sides, solving, work.device)
    stitches = _made(values, work, moments)
    for pair, stitch in stitches.items():
        stitch.solve(moments.moments(*pair))
    scoring = waiting(data.val_batches(few or SCORED_ON), "scoring controls", values["quiet"])
    return score_stitches(*sides, moments, stitches, scoring, work.device).accuracy


def _train_rows(
    work: Work,
    rows: list[tuple[str, int, str]],
    epochs: int,
    moments: PairMoments,
    score: Callable[[Mapping[Pair, Stitch], str], StitchingMatrix],
    name: str,
) -> None:
    """Train row after row: the stitches that start at one sender layer share its pass."""
    steps = 3 if work.values["debug"] else len(work.data.train_dataloader())
    with progress_bar() as bar:
        bar.disable = work.values["quiet"]
        task = bar.add_task(f"training {name}", total=len(rows) * epochs * steps, numbers="")
        for kind, seed, layer in rows:
            values = {**work.values, "seed": seed}
            stitches = _made(values, work, moments, layer)
            for pair, stitch in stitches.items():
                start_stitch(stitch, values, moments.moments(*pair))
            train_row(work, values, layer, stitches, epochs, moments, lambda: bar.advance(task))
            _keep(work.cells, (kind, seed), [layer], _scores(score(stitches, "")))


def train_row(
    work: Work,
    values: Mapping[str, Any],
    layer: str,
    stitches: Mapping[Pair, Stitch],
    epochs: int,
    moments: PairMoments,
    step_done: Callable[[], Any],
) -> None:
    """Train all stitches that start at one sender layer."""
    if not stitches:
        return
    receiver = work.sides[1]
    joints = {t: join(*work.networks, layer, t, values["flatten"]) for _, t in stitches}
    task = StitchingTogether(
        next(iter(joints.values())).sender,
        {t: joint.receiver for t, joint in joints.items()},
        {t: joint.align for t, joint in joints.items()},
        {t: stitch for (_, t), stitch in stitches.items()},
        receiver.read,
        objective=objective_of(values),
        lr=values["lr"],
        weight_decay=values["weight_decay"],
        optimizer=values["optimizer"],
    )
    trainer = bare_trainer(
        work.device,
        precision=values["precision"],
        max_epochs=epochs,
        limit_train_batches=3 if values["debug"] else 1.0,
        callbacks=[_Steps(step_done)],
    )
    work.data.order_seed = values["seed"]
    trainer.fit(task, work.data)
    task.to(work.device)  # the Trainer leaves it on the CPU


class _Steps(pl.Callback):
    def __init__(self, done: Callable[[], Any]) -> None:
        self.done = done

    def on_train_batch_end(self, *_: Any) -> None:
        self.done()


def _made(
    values: Mapping[str, Any], work: Work, moments: PairMoments, layer: str | None = None
) -> dict[Pair, Stitch]:
    """New stitches of all pairs, or of those that start at a layer."""
    stitches, _ = make_stitches(*work.sides, moments, partial(make_stitch, values))
    return {p: one.to(work.device) for p, one in stitches.items() if layer in (None, p[0])}


def _scores(matrix: StitchingMatrix) -> dict[str, dict[Pair, float]]:
    whole = {"sender": matrix.sender, "receiver": matrix.receiver}
    return {
        "accuracy": matrix.accuracy,
        "agreement": matrix.agreement,
        **{side: dict.fromkeys(matrix.accuracy, value) for side, value in whole.items()},
    }


def _keep(
    cells: Cells, kind: tuple[str, int], layers: Any, found: dict[str, dict[Pair, float]]
) -> None:
    for layer in layers:
        row: Row = {}
        for what, values in found.items():
            for (s, t), value in values.items():
                if s == layer:
                    row.setdefault(t, {})[what] = value
        cells[(*kind, layer)] = row


def _gathered(work: Work, epochs: int) -> Results:
    found: dict[str, dict[str, dict[Pair, list[float]]]] = {}
    for kind, seed in _kinds(work.values, epochs):
        for s in work.sides[0].names:
            if (kind, seed, s) not in work.cells:
                continue
            for t, cell in work.cells[kind, seed, s].items():
                for what, value in cell.items():
                    lists = found.setdefault(kind, {}).setdefault(what, {})
                    lists.setdefault((s, t), []).append(value)
    every, few = len(work.data.val_labels), _few(work.values)
    images = {
        "untrained": min(few or SCORED_ON, every),
        **dict.fromkeys(("solved", "trained"), min(few or every, every)),
    }
    return Results(work.sides[0].names, work.sides[1].names, found, work.refused, images)


def _kinds(values: Mapping[str, Any], epochs: int) -> list[tuple[str, int]]:
    """What is made, each with the seed it is made from."""
    seeds = _seeds(values)
    # Of what is solved, only a random choice of partners is random.
    solved = seeds if values["mask"] == "random-permutation" else seeds[:1]
    kinds = [*(("solved", seed) for seed in solved), ("untrained", seeds[0])]
    kinds += [("trained", seed) for seed in seeds if epochs]
    return kinds + ([("measures", seeds[0])] if _measures(values) else [])


def _few(values: Mapping[str, Any]) -> int | None:
    """How many images are enough to debug; None for all of them."""
    return 3 * values["batch_size"] if values["debug"] else None


def _seeds(values: Mapping[str, Any]) -> list[int]:
    return list(range(values["seed"], values["seed"] + values["seeds"]))


def _measures(values: Mapping[str, Any]) -> list[str]:
    """Those that can be had from a pair's second moments."""
    return [measure for measure in values["measures"] if from_second_moments(measure)]


def _check(values: Mapping[str, Any]) -> None:
    check_numbers(values)
    if values["devices"] not in ("auto", "1") or values["strategy"] != "auto":
        raise UserError("a matrix of stitches is made on one device; leave out --devices")
    if values["precision"] not in ("32-true", "bf16-mixed"):
        raise UserError(
            f"a matrix of stitches is trained in 32-true or bf16-mixed, got {values['precision']}"
        )
