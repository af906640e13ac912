"""One run that stitches every layer to every layer."""

import math
from collections.abc import Iterable
from functools import partial

from rich.console import Console
from torch import nn

from frankenstein.errors import Interrupted, UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.data import (
    check_augment,
    check_data,
    check_same_answers,
    data_for,
    look_of,
    open_pair,
)
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.stitching.controls import CONTROL_SEED, SCORED_ON
from frankenstein.stitching.matrix.costs import Cost, counted, grafted_costs
from frankenstein.stitching.matrix.fill import Work, fill, kinds_and_seeds
from frankenstein.stitching.matrix.kept import bytes_of, not_kept
from frankenstein.stitching.matrix.page import left_out, write_matrix_page
from frankenstein.stitching.matrix.pair_moments import PairMoments
from frankenstein.stitching.matrix.results import CELLS, FEW, Cells, Results, results_of
from frankenstein.stitching.matrix.solve import Pair, make_stitches
from frankenstein.stitching.page import training_line
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import aim_of, make_stitch, stitch_name
from frankenstein.stitching.warnings import few_examples_warnings
from frankenstein.surgery import seeing
from frankenstein.surgery.layer_set import layer_set
from frankenstein.training.device import device_of
from frankenstein.training.trainer import quiet_lightning

# Larger batches of maps do not stay in a CPU's cache, and every step of a pass waits for memory.
_BATCH = {"cpu": 50, "cuda": 250}


def run_matrix(plan: StitchPlan, command: Command) -> Run:
    """Run the plan of `stitch` where it crosses layers."""
    device = device_of(plan.accelerator)
    pair = open_pair(plan.sender, plan.receiver, plan.model, **plan.told)
    check_same_answers(*pair)
    sender, receiver = (network.to(device) for network in pair)
    sides = (
        layer_set(sender.module, plan.sender_layers, plan.flatten),
        layer_set(receiver.module, plan.receiver_layers, plan.flatten),
    )
    dataset = plan.dataset or receiver.dataset
    data = data_for(
        pair,
        dataset,
        plan.data_root,
        plan.batch_size,
        eval_batch_size=_BATCH[device.type],
        order_seed=plan.seed,
        answering=[receiver],
        texts=plan.texts,
    )
    looks = look_of(sender, data), look_of(receiver, data)
    sides = sides[0].seeing(looks[0]), sides[1].seeing(looks[1])
    if plan.trained_epochs:
        check_augment(data, plan.augment)
    trained = [line] if (line := training_line(plan, data)) else []
    if not plan.augment:
        data.augment = lambda images, generator: images  # type: ignore[method-assign]
    empty = PairMoments(sides[0].layouts, sides[1].layouts, device)
    stitches, refused = make_stitches(*sides, empty, partial(make_stitch, plan))
    refused |= _without_aim(plan, receiver.module, stitches)
    size = bytes_of(plan, [one for pair, one in stitches.items() if pair not in refused])
    del stitches
    lost = not_kept(size)
    for line in [*left_out(plan), *lost]:
        Console(quiet=plan.quiet).out(line, highlight=False)
    if plan.trained_epochs:
        check_data(data, plan.quiet)
    sender.random(CONTROL_SEED)  # refused now, and not once all is solved, if there is no control
    name = plan.run_name or stitch_name(plan, pair, dataset)
    kept = 0 if lost else size
    with (
        Run.write(plan, name, pair, command, goes_on_from=CELLS, size=kept) as run,
        quiet_lightning(),
    ):
        run.say_name(plan.quiet)
        run.tell_sight(pair, data, dataset)
        folder = None if lost else run.folder
        cells = Cells(run.folder)
        work = Work(plan, sender, receiver, sides, refused, looks, data, device, cells, folder)
        try:
            fill(work)
        except Interrupted:
            run.unfinished = True
            if (so_far := _results(work)).networks:
                write_matrix_page(run, plan, so_far, lost, _few_rows(work))
            raise
        run.record |= {
            "networks": {network.role: network.sha256 for network in pair},
            "device": str(device),
            "seeds": {"stitch": plan.all_seeds},
        }
        remarks, few_rows = [*lost, *trained], _few_rows(work)
        write_matrix_page(run, plan, _results(work), remarks, few_rows)
        run.shown += trained
    return run


def _without_aim(
    plan: StitchPlan, receiver: nn.Module, stitches: Iterable[Pair]
) -> dict[Pair, str]:
    """Pairs behind which nothing lies that the objective could follow, and why.

    Raises:
        UserError: if no pair is left.
    """
    pairs, why = list(stitches), dict[str, UserError]()
    for layer in dict.fromkeys(t for _, t in pairs if plan.trained_epochs):
        try:
            aim_of(plan, receiver, layer)
        except UserError as error:
            why[layer] = error
    if len(why) == len({t for _, t in pairs}):
        raise next(iter(why.values()))
    return {pair: str(why[pair[1]]) for pair in pairs if pair[1] in why}


def _few_rows(work: Work) -> list[str]:
    """A line on the pair with the fewest rows for each unit, if they are few."""
    plan, (ours, theirs) = work.plan, (side.layouts for side in work.sides)
    images = work.data.train_batches(plan.debug_images or plan.solve_on).examples
    rows_and_units = {
        (s, t): (images * (math.prod(target.grid) + target.extra), source.units)
        for s, source in ours.items()
        for t, target in theirs.items()
        if (s, t) not in work.refused
    }
    pair = min(rows_and_units, key=lambda pair: rows_and_units[pair][0] / rows_and_units[pair][1])
    lines = few_examples_warnings(plan, *rows_and_units[pair])
    return [f"from {pair[0]} to {pair[1]} {line}" for line in lines]


def _costs(work: Work) -> tuple[dict[Pair, Cost], dict[str, Cost]]:
    """Of every grafted network, and of the two by themselves."""
    example = next(iter(work.data.val_batches(1)))[0].to(work.device)
    laid = PairMoments(work.sides[0].layouts, work.sides[1].layouts, work.device)
    fronts, ends = (
        {name: layer_set(module, [name], work.plan.flatten).seeing(look) for name in side.names}
        for (module, look), side in zip(_seen(work), work.sides, strict=True)
    )
    own = {
        role: counted(seeing(module, look), example)[0]
        for role, (module, look) in zip(("sender", "receiver"), _seen(work), strict=True)
    }
    return grafted_costs(fronts, ends, work.stitches(work.plan, laid), laid, example), own


def _seen(work: Work) -> list[tuple[nn.Module, nn.Module | None]]:
    """The two networks, and the look that each has at the data."""
    return [*zip((work.sender.module, work.receiver.module), work.looks, strict=True)]


def _results(work: Work) -> Results:
    few, every = work.plan.debug_images, work.data.num_val
    images = {
        **dict.fromkeys(("untrained", FEW), min(few or SCORED_ON, every)),
        **dict.fromkeys(("solved", "trained"), min(few or every, every)),
    }
    return results_of(
        work.cells,
        kinds_and_seeds(work.plan),
        work.sides[0].names,
        work.sides[1].names,
        images,
        work.refused,
        most_frequent(work.data.val_labels),
        *_costs(work),
    )
