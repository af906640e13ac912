"""The rows of a matrix of stitches: solve, train, score, keep what is done."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

from frankenstein.catalog import MEASURES
from frankenstein.data import ImageData
from frankenstein.data.padding import there_of
from frankenstein.networks.network import Network
from frankenstein.networks.statistics import counting_images
from frankenstein.report.progress import progress, progress_bar
from frankenstein.stitches import Stitch
from frankenstein.stitching.controls import CONTROL_SEED, SCORED_ON, solved_on
from frankenstein.stitching.matrix.kept import keep_stitches
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.results import FEW, Cells, Row
from frankenstein.stitching.matrix.solve import (
    Pair,
    StitchingMatrix,
    make_stitches,
    measure_pairs,
    pair_moments,
    score_stitches,
)
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import aim_of, make_stitch, solving_of, start_stitch
from frankenstein.surgery import join
from frankenstein.surgery.layer_set import LayerSet, layer_set
from frankenstein.tasks import DataModule
from frankenstein.tasks.together import StitchingTogether
from frankenstein.training.trainer import bare_trainer

# What is told beside a measure, where images have one class each.
_WITHIN = {
    "linear_cka": "within_class_linear_cka",
    "r_squared": "within_class_r_squared",
}
Values = dict[str, dict[Pair, float]]  # by what they are: "accuracy", "agreement", ..., a measure


@dataclass(frozen=True)
class Work:
    """What every step of a matrix needs."""

    plan: StitchPlan
    sender: Network  # both lie on the device
    receiver: Network
    sides: tuple[LayerSet, LayerSet]  # layers of each
    refused: Mapping[Pair, str]  # pairs without a stitch, and why
    looks: tuple[nn.Module | None, nn.Module | None]  # of each at the data, see `Joint.seeing`
    data: ImageData
    device: torch.device
    cells: Cells
    kept: Path | None  # folder that keeps stitches; None if they are too large

    def stitches(
        self, plan: StitchPlan, moments: PairMoments, layer: str | None = None
    ) -> dict[Pair, Stitch]:
        """New stitches of all pairs, or of those that start at a layer; `plan` says the seed."""
        stitches, _ = make_stitches(*self.sides, moments, partial(make_stitch, plan))
        return {
            pair: one.to(self.device)
            for pair, one in stitches.items()
            if layer in (None, pair[0]) and pair not in self.refused
        }

    def keep_stitches(self, kind: str, seed: int, stitches: Mapping[Pair, Stitch]) -> None:
        """Save those of the first seed, before their rows say that they are done."""
        if self.kept is not None and seed == self.plan.seed:
            joins = {"sender": self.sender.sha256, "receiver": self.receiver.sha256}
            keep_stitches(self.kept, kind, stitches, joins)

    def keep(self, kind: str, seed: int, layers: Iterable[str], values: Values) -> None:
        """Keep the rows of some of the sender's layers."""
        for layer in layers:
            row: Row = {}
            for what, cells in values.items():
                for (s, t), value in cells.items():
                    if s == layer:
                        row.setdefault(t, {})[what] = value
            self.cells[kind, seed, layer] = row


def kinds_and_seeds(plan: StitchPlan) -> list[tuple[str, int]]:
    """What a matrix is made of, each with the seed it is made from."""
    seeds = plan.all_seeds
    # Of what is solved, only a random choice of partners is random.
    solved = seeds if plan.mask == "random-permutation" else seeds[:1]
    kinds = [("solved", seed) for seed in solved]
    # Solved likewise, both from the trained sender and from untrained ones, on fewer images.
    kinds += [(FEW, seeds[0]), *(("untrained", k) for k in range(plan.untrained))]
    kinds += [("trained", seed) for seed in seeds if plan.trained_epochs]
    measured = any(MEASURES[measure].from_second_moments for measure in plan.measures)
    return kinds + ([("measures", seeds[0])] if measured else [])


def fill(work: Work) -> None:
    """Make every row that is not kept yet."""
    plan, data, layers = work.plan, work.data, work.sides[0].names
    missing = {
        (kind, seed): [layer for layer in layers if (kind, seed, layer) not in work.cells]
        for kind, seed in kinds_and_seeds(plan)
    }
    if not any(missing.values()):
        return
    fast = work.sides[0].folded(), work.sides[1].folded()
    images = data.train_batches(plan.debug_images or plan.solve_on, plan.seed)
    moments = pair_moments(*fast, progress(images, "solving", plan.quiet), work.device)

    def score(stitches: Mapping[Pair, Stitch], quiet: bool = plan.quiet) -> Values:
        batches = progress(data.val_batches(plan.debug_images), "scoring", quiet)
        return _scores(score_stitches(*fast, moments, stitches, batches, work.device))

    for (kind, seed), rows in missing.items():
        if kind == "trained" or not rows:
            continue
        if kind in (FEW, "untrained"):
            number = seed if kind == "untrained" else None
            work.keep(kind, seed, layers, {"accuracy": _control(work, number)})
            continue
        stitches = work.stitches(replace(plan, seed=seed), moments)
        if kind == "measures":
            work.keep(kind, seed, layers, measure_pairs(moments, stitches, _measures(work)))
            continue
        for pair, stitch in stitches.items():
            solving_of(plan)(stitch, moments.moments(*pair))
        work.keep_stitches(kind, seed, stitches)
        work.keep(kind, seed, layers, score(stitches))
    trained = [
        (seed, s) for (kind, seed), rows in missing.items() for s in rows if kind == "trained"
    ]
    if trained:
        _train_rows(work, trained, moments, score)


def _measures(work: Work) -> list[str]:
    """Those of the plan that a matrix has, and likeness within classes beside a CKA or R²."""
    measures = [one for one in work.plan.measures if MEASURES[one].from_second_moments]
    if work.data.classed and there_of(work.data.blank()) is None:
        beside = [within for one, within in _WITHIN.items() if one in measures]
        measures += [one for one in beside if one not in measures]
    return measures


def _control(work: Work, number: int | None) -> dict[Pair, float]:
    """Accuracy of the stitches solved on few images, from an untrained sender by its number.

    None is the sender itself, to hold the untrained ones against.
    """
    plan, data, few = work.plan, work.data, work.plan.debug_images
    sender, of = work.sender, "on few images"
    if number is not None:
        of = f"control {number + 1} of {plan.untrained}"
        images = counting_images(data, sender.module, work.looks[0])
        sender = sender.untrained(CONTROL_SEED + number, images)
    layers = layer_set(sender.module, work.sides[0].names, plan.flatten)
    layers = layers.seeing(work.looks[0])
    sides = layers.folded(), work.sides[1].folded()
    enough = solved_on(*(layout.units for side in sides for layout in side.layouts.values()))
    some = data.train_batches(few or enough)
    if plan.solve_on is not None and plan.solve_on < some.examples:
        some = data.train_batches(plan.solve_on, plan.seed)
    solving = progress(some, f"solving {of}", plan.quiet)
    moments = pair_moments(*sides, solving, work.device)
    stitches = work.stitches(plan, moments)
    for pair, stitch in stitches.items():
        solving_of(plan)(stitch, moments.moments(*pair))
    scoring = progress(data.val_batches(few or SCORED_ON), f"scoring {of}", plan.quiet)
    return score_stitches(*sides, moments, stitches, scoring, work.device).accuracy


def _train_rows(
    work: Work,
    rows: list[tuple[int, str]],  # seed and layer of the sender
    moments: PairMoments,
    score: Callable[..., Values],
) -> None:
    """Train row after row: the stitches that start at one sender layer share its pass."""
    steps = 3 if work.plan.debug else len(work.data.shuffled_batches())
    with progress_bar() as bar:
        bar.disable = work.plan.quiet
        total = len(rows) * work.plan.trained_epochs * steps
        task = bar.add_task("training", total=total, numbers="")
        for seed, layer in rows:
            plan = replace(work.plan, seed=seed)
            stitches = work.stitches(plan, moments, layer)
            for pair, stitch in stitches.items():
                start_stitch(stitch, plan, moments.moments(*pair))
            if stitches:
                _train_row(work, plan, layer, stitches, lambda: bar.advance(task))
            work.keep_stitches("trained", seed, stitches)
            work.keep("trained", seed, [layer], score(stitches, quiet=True))


def _train_row(
    work: Work,
    plan: StitchPlan,
    layer: str,
    stitches: Mapping[Pair, Stitch],
    step_done: Callable[[], Any],
) -> None:
    """Train all stitches that start at one sender layer."""
    modules = work.sender.module, work.receiver.module
    joints = {t: join(*modules, layer, t, plan.flatten).seeing(*work.looks) for _, t in stitches}
    aims = {t: aim_of(plan, work.receiver.module, t) for t in joints}
    task = StitchingTogether(
        next(iter(joints.values())).sender,
        {t: joint.receiver for t, joint in joints.items()},
        {t: joint.align for t, joint in joints.items()},
        {t: stitch for (_, t), stitch in stitches.items()},
        work.sides[1].read,
        objective={t: aim.stages for t, aim in aims.items()},
        later={t: aim.later for t, aim in aims.items()},
        lr=plan.lr,
        weight_decay=plan.weight_decay,
        optimizer=plan.optimizer,
    )
    trainer = bare_trainer(
        work.device,
        precision=plan.precision,
        max_epochs=plan.trained_epochs,
        limit_train_batches=3 if plan.debug else 1.0,
        callbacks=[_Steps(step_done)],
    )
    work.data.order_seed = plan.seed
    trainer.fit(task, DataModule(work.data))
    task.to(work.device)  # the Trainer leaves it on the CPU


class _Steps(pl.Callback):
    def __init__(self, done: Callable[[], Any]) -> None:
        self.done = done

    def on_train_batch_end(self, *_: Any) -> None:
        self.done()


def _scores(matrix: StitchingMatrix) -> Values:
    whole = {"sender": matrix.sender, "receiver": matrix.receiver}
    return {
        "accuracy": matrix.accuracy,
        "agreement": matrix.agreement,
        **{role: dict.fromkeys(matrix.accuracy, value) for role, value in whole.items()},
    }
