"""The rows of a matrix of stitches: solve, train, score, keep what is done."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl

from frankenstein.report.progress import progress, progress_bar
from frankenstein.stitches import Stitch
from frankenstein.stitching.control_options import SCORED_ON, solved_on, untrained_sender
from frankenstein.stitching.matrix.cells import Cells, Row
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.solve import (
    Pair,
    StitchingMatrix,
    measure_pairs,
    pair_moments,
    score_stitches,
)
from frankenstein.stitching.matrix.work import Work, debug_images, kinds, made, measures_of
from frankenstein.stitching.options import objective_of, start_stitch
from frankenstein.surgery import join
from frankenstein.surgery.layer_set import layer_set
from frankenstein.tasks import DataModule
from frankenstein.tasks.together import StitchingTogether
from frankenstein.training.trainer import bare_trainer


def fill(work: Work, epochs: int) -> None:
    """Make every row that is not kept yet."""
    values, cells, names = work.values, work.cells, work.sides[0].names
    keys = [(*kind, s) for kind in kinds(values, epochs) for s in names]
    if all(key in cells for key in keys):
        return
    quiet, few = values["quiet"], debug_images(values)
    fast = work.sides[0].folded(), work.sides[1].folded()
    solving = progress(work.data.train_batches(few or values["solve_on"]), "solving", quiet)
    moments = pair_moments(*fast, solving, work.device)

    def score(stitches: Mapping[Pair, Stitch], quiet: bool = quiet) -> StitchingMatrix:
        batches = progress(work.data.val_batches(few), "scoring", quiet)
        return score_stitches(*fast, moments, stitches, batches, work.device)

    for kind, seed in kinds(values, epochs):
        if kind == "trained" or all((kind, seed, s) in cells for s in names):
            continue
        if kind == "untrained":
            _keep(cells, (kind, seed), names, {"accuracy": _untrained(work)})
            continue
        stitches = made({**values, "seed": seed}, work, moments)
        if kind == "measures":
            found = measure_pairs(moments, stitches, measures_of(values))
            _keep(cells, (kind, seed), names, found)
            continue
        for pair, stitch in stitches.items():
            stitch.solve(moments.moments(*pair))
        _keep(cells, (kind, seed), names, _scores(score(stitches)))
    if rows := [key for key in keys if key[0] == "trained" and key not in cells]:
        _train_rows(work, rows, epochs, moments, score)


def _untrained(work: Work) -> dict[Pair, float]:
    """The control: accuracy of the same stitches, solved from a sender that has learned nothing."""
    values, few, data = work.values, debug_images(work.values), work.data
    sender = layer_set(
        untrained_sender(values, work.device), work.sides[0].names, values["flatten"]
    )
    sides = sender.folded(), work.sides[1].folded()
    wanted = solved_on(*(layout.units for side in sides for layout in side.layouts.values()))
    solving = progress(data.train_batches(few or wanted), "solving controls", values["quiet"])
    moments = pair_moments(*sides, solving, work.device)
    stitches = made(values, work, moments)
    for pair, stitch in stitches.items():
        stitch.solve(moments.moments(*pair))
    scoring = progress(data.val_batches(few or SCORED_ON), "scoring controls", values["quiet"])
    return score_stitches(*sides, moments, stitches, scoring, work.device).accuracy


def _train_rows(
    work: Work,
    rows: list[tuple[str, int, str]],
    epochs: int,
    moments: PairMoments,
    score: Callable[..., StitchingMatrix],
) -> None:
    """Train row after row: the stitches that start at one sender layer share its pass."""
    steps = 3 if work.values["debug"] else len(work.data.shuffled_batches())
    with progress_bar() as bar:
        bar.disable = work.values["quiet"]
        task = bar.add_task("training", total=len(rows) * epochs * steps, numbers="")
        for kind, seed, layer in rows:
            values = {**work.values, "seed": seed}
            stitches = made(values, work, moments, layer)
            for pair, stitch in stitches.items():
                start_stitch(stitch, values, moments.moments(*pair))
            train_row(work, values, layer, stitches, epochs, moments, lambda: bar.advance(task))
            _keep(work.cells, (kind, seed), [layer], _scores(score(stitches, quiet=True)))


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
    trainer.fit(task, DataModule(work.data))
    task.to(work.device)  # the Trainer leaves it on the CPU


class _Steps(pl.Callback):
    def __init__(self, done: Callable[[], Any]) -> None:
        self.done = done

    def on_train_batch_end(self, *_: Any) -> None:
        self.done()


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
