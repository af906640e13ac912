"""One stitching run, from two files to a folder: solve, train, evaluate, show."""

import copy
import math
import time
from collections.abc import Callable, Iterable
from itertools import chain

import torch
from rich.console import Console
from torch import Tensor, distributed, nn

from frankenstein.callbacks import Every, RepresentationSimilarity, TrainingBar, draw_stitch
from frankenstein.catalog import STITCHES
from frankenstein.data.padding import there_of
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.data import check_augment, check_data, data_for
from frankenstein.report.progress import progress
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.stitches import Affine, save_stitch
from frankenstein.stitching.controls import CONTROL_SEED, SCORED_ON, controls_for, solved_on
from frankenstein.stitching.depths import reader_behind
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.frauds import check_frauds
from frankenstein.stitching.matrix.run import run_matrix
from frankenstein.stitching.page import log_boards, training_line, write_stitch_page
from frankenstein.stitching.pair import open_stitching_pair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.recipe import (
    aim_of,
    anchors_of,
    make_stitch,
    solving_of,
    start_stitch,
    stitch_name,
)
from frankenstein.stitching.recount import check_recount, recounted_ends
from frankenstein.stitching.warnings import few_examples_warnings, one_image_warnings
from frankenstein.surgery import Joint
from frankenstein.tasks import DataModule, Stitching, Unaugmented, matching_moments
from frankenstein.training.processes import all_processes
from frankenstein.training.trainer import (
    hardware_of,
    make_trainer,
    quiet_lightning,
    telling_how_far,
)

_BYTES_TOLD, _SECONDS_TOLD = 100 * 2**20, 10
_LARGE = 5_000_000  # weights of a sender whose twins take long
_SIZE = 800  # of the matrix that is decomposed to see how fast the machine is


def run_stitch(plan: StitchPlan, command: Command) -> Run:
    """Run the plan of `stitch`: one pair of layers, or a matrix of them."""
    return run_matrix(plan, command) if plan.is_matrix else _run_one(plan, command)


def _run_one(plan: StitchPlan, command: Command) -> Run:
    """Run the plan of one stitch."""
    epochs, few = plan.trained_epochs, plan.debug_images
    pair = open_stitching_pair(plan)
    sender, receiver, joint = pair.sender, pair.receiver, pair.joint
    aim = aim_of(plan, receiver.module, plan.layers[1])
    stitch = make_stitch(plan, joint.source.units, joint.target.units)
    dataset = plan.dataset or receiver.dataset
    data = data_for(
        [sender, receiver],
        dataset,
        plan.data_root,
        plan.batch_size,
        order_seed=plan.seed,
        answering=[receiver],
        texts=plan.texts,
    )
    pair = pair.seeing(data)
    if plan.controls == "all":
        check_frauds(data)
    if plan.recount:
        check_recount(joint.receiver, data)
    if epochs:
        check_augment(data, plan.augment)
        check_data(data, plan.quiet)
    solving = data.train_batches(few or plan.solve_on, plan.seed)
    if not plan.quiet:
        held_out = data.val_batches(few).examples
        _say(joint, solving.examples, data.num_train, held_out, plan.untrained)
        if plan.untrained > 1 and sum(p.numel() for p in sender.module.parameters()) > _LARGE:
            Console().out(
                f"controls are solved and scored from {plan.untrained} untrained senders; one of "
                "them is quicker, and has no spread",
                highlight=False,
            )
    layers = {"sender_layer": plan.sender_layer, "receiver_layer": plan.receiver_layer}
    joins = {"sender": sender.sha256, "receiver": receiver.sha256, **layers}
    sender.random(CONTROL_SEED)  # refused now, and not once all is trained, if there is no control
    name = plan.run_name or stitch_name(plan, [sender, receiver], dataset)
    with Run.write(plan, name, [sender, receiver], command) as run, quiet_lightning():
        run.say_name(plan.quiet)
        run.tell_sight([sender, receiver], data, dataset)
        task = Stitching(
            sender.module,
            receiver.module,
            *plan.layers,
            stitch,
            objective=aim.stages,
            later=aim.later,
            flatten=plan.flatten,
            lr=plan.lr,
            weight_decay=plan.weight_decay,
            optimizer=plan.optimizer,
            looks=pair.looks,
        )
        frames = Every(plan.save_frequency * max(1, epochs), draw_stitch)
        drawn = [frames] if STITCHES[plan.family_name].affine else []
        callbacks = [RepresentationSimilarity(plan.measures), *drawn]
        bars = [] if plan.quiet else [TrainingBar()]
        trainer = make_trainer(run.folder, epochs, [*callbacks, *bars], hardware_of(plan))
        if not epochs and plan.devices != "auto" and trainer.num_devices > 1:
            raise UserError(
                "a stitch that is solved and not trained is made on one device, got ‹devices› "
                f"{plan.devices}; leave it out"
            )
        device = trainer.strategy.root_device
        task.to(device)
        told = progress(solving, "solving", plan.quiet)
        ps_inv = _solve(task, plan, chain(anchors_of(plan, data), told), device)
        before = copy.deepcopy(stitch)
        if epochs:
            if plan.debug:
                trainer.limit_train_batches = trainer.limit_val_batches = 3
            plain = Unaugmented(data, task, say=Console(quiet=plan.quiet).out)
            # What a text's sentences become has no fixed size, and is not kept.
            kept = not plan.augment and not isinstance(data, Text)
            fitted = plain if kept else DataModule(data)
            with all_processes(trainer), telling_how_far(run, trainer):
                trainer.fit(task, fitted, ckpt_path=run.checkpoint, weights_only=True)
            if distributed.is_initialized():  # from here on the first process sees all examples
                distributed.destroy_process_group()
            if not run.leads:
                return run
        stitches = {"before": before, "after": stitch, "ps_inv": ps_inv}
        task.to(device)
        controls = controls_for(plan, pair, data, device, few)
        laid = {kind: nn.Sequential(task.align, one).to(device) for kind, one in stitches.items()}
        followed = (receiver.module, plan.layers[1])
        ends = (
            recounted_ends(task.sender, task.receiver, laid, controls, data, device, followed)
            if plan.recount
            else None
        )
        run.numbers |= evaluate_stitches(
            task.sender,
            task.receiver,
            laid,
            progress(data.mixed_val_batches(few), "evaluating", plan.quiet),
            plan.measures,
            device,
            controls=controls,
            behind=reader_behind(*followed, task.receiver.end),
            ends=ends,
        )
        run.numbers["accuracy/most_frequent"] = most_frequent(data.val_labels)
        run.record |= {"joins": joins, "seeds": {"stitch": plan.seed}, "device": str(device)}
        run.record |= {"dataset": dataset}
        run.record["examples"] = min(few or data.num_val, data.num_val)
        for kind, one in stitches.items():
            save_stitch(run.folder / f"{kind}.safetensors", one, joins)
        log_boards(trainer, task, data, plan, run.numbers)
        places = math.prod(joint.target.grid) + joint.target.extra
        few_rows = few_examples_warnings(plan, solving.examples * places, joint.source.units)
        if data.classed and there_of(data.blank()) is None:  # sentences are pooled
            few_rows += one_image_warnings(data.val_labels, places)
        trained = training_line(plan, data)
        shown = (plan, data, stitches, controls, solving.examples)
        write_stitch_page(run, *shown, few_rows, trained)
    return run


def _solve(
    task: Stitching,
    plan: StitchPlan,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Affine:
    """Put the task's stitch at its start; returns `ps_inv`. The sums are let go of."""
    front = nn.Sequential(task.sender.front, task.align)
    solving = solving_of(plan)
    known = matching_moments(front, task.receiver.front, batches, device, solving.sums())
    start_stitch(task.stitch, plan, known)
    return solving.least_squares(Affine(task.stitch.in_channels, task.stitch.out_channels), known)


def _say(joint: Joint, *images: int) -> None:
    """Tell what is done to the source, and what very many units cost."""
    for line in (joint.how_laid, cost_of(joint, *images)):
        if line:
            Console().out(line, highlight=False)


def cost_of(
    joint: Joint,
    solve_on: int,
    train: int,
    held_out: int,
    untrained: int = 1,
    *,
    decomposing: Callable[[], float] | None = None,
) -> str | None:
    """Memory and time of a run's algebra on so many images in a line, None if they are small.

    Memory is that of sums over all pairs of units, or, of images fewer than units, of their rows;
    time that of decompositions, during which no bar moves. Both are rough: fitted to few runs.
    `decomposing` gives the seconds of one of 800 units; without it, it is tried.
    """
    d, e = joint.source.units, joint.target.units
    places = math.prod(joint.target.grid) + joint.target.extra
    controls = min(train, solved_on(d, e))
    scored = held_out // max(1, held_out // SCORED_ON)
    # The run's own solution; those of controls; three stitches, and the controls, measured.
    cubes, squares = 0.0, 7 * 4.0  # the stitches themselves, in float32
    for images, times in (
        (solve_on, 1),
        (controls, untrained + 1),
        (held_out, 3),
        (scored, untrained + 3),
    ):
        rows, most = images * places, max(d, e)
        if rows > most:
            cubes += 1.5 * times
            squares = max(squares, 28 + 8.0 * (20 * times + 10))  # as measured
        else:
            squares = max(squares, 52 + 48.0 * rows / most)
    size, seconds = squares * max(d, e) ** 2, 0.0
    if cubes * max(d, e) ** 3 > 1e9:
        seconds = cubes * (max(d, e) / _SIZE) ** 3 * (decomposing or _decomposing)()
    if size < _BYTES_TOLD and seconds < _SECONDS_TOLD:
        return None
    line = f"algebra over {d:,} and {e:,} units takes about {size / 2**20:,.0f} MiB"
    if seconds < _SECONDS_TOLD:
        return line
    return f"{line}, and {_in_words(seconds)} in which no bar moves"


def _decomposing() -> float:
    """Seconds that the eigenvectors of a matrix of _SIZE take here."""
    matrix = torch.rand(_SIZE, _SIZE, dtype=torch.float64)
    began = time.perf_counter()
    torch.linalg.eigh(matrix + matrix.T)
    return time.perf_counter() - began


def _in_words(seconds: float) -> str:
    """
    >>> _in_words(49.0), _in_words(700.0)
    ('50 seconds', '12 minutes')
    """
    if seconds < 100:
        return f"{10 * math.ceil(seconds / 10)} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
