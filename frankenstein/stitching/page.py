"""What a stitching run shows: TensorBoard's pages, the report, the tables of the terminal."""

from collections.abc import Mapping, Sequence

import pytorch_lightning as pl
import torch
from torch.utils.tensorboard import SummaryWriter

from frankenstein.callbacks import writers
from frankenstein.catalog import STITCHES
from frankenstein.data import ImageData
from frankenstein.errors import counted
from frankenstein.networks.network import told_name
from frankenstein.report import Fold, Picture, code, framed, log_projector, weight_matrix
from frankenstein.runs.fields import KINDS
from frankenstein.runs.page import add_page, add_row, write_page
from frankenstein.runs.run import Run
from frankenstein.runs.schema import options_of
from frankenstein.shapes import pooled
from frankenstein.stitches import Stitch
from frankenstein.stitching.accuracy_picture import accuracy_picture
from frankenstein.stitching.controls import Controls
from frankenstein.stitching.depths_page import depth_pictures
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.same_maps import row_names, same_maps
from frankenstein.stitching.score_table import found_of, score_blocks, shown_scores
from frankenstein.stitching.warnings import stitch_warnings
from frankenstein.tasks import Stitching

_POINTS = 250  # examples of each network in the projector
_SAID_ELSEWHERE = ("sender", "receiver", "model", "all", "seeds")  # by the run's name and record
_FIRST = ("sender_layer", "receiver_layer", "init", "epochs")  # in every row of that table
_FOUND = ("accuracy", "agreement", "stitching_penalty", "loss", "unbiased_cka", "linear_cka")
_TOLD_APART_BY = [  # fields of the plan in TensorBoard's table of runs
    name
    for name, one in options_of(StitchPlan).items()
    if one.changes in ("numbers", "seed") and not one.is_list and name not in _SAID_ELSEWHERE
]


@torch.no_grad()
def log_boards(
    trainer: pl.Trainer,
    task: Stitching,
    data: ImageData,
    plan: StitchPlan,
    numbers: Mapping[str, float],
) -> None:
    """Fields of the plan with final numbers, and both networks' representations as points."""
    for writer in writers(trainer):
        images, labels = next(iter(data.val_batches()))
        images, labels = images[:_POINTS].to(task.device), labels[:_POINTS]
        pictures = data.pictures(data.val_images[: len(labels)]) if data.pictured else None
        if pictures is not None and not data.multilabel:
            pictures = framed(pictures, labels)
        source, target = task.sender.front(images), task.receiver.front(images)
        clouds = {"stitched": pooled(task.stitch(task.align(source))), "target": pooled(target)}
        if source.shape == target.shape:
            clouds = {"source": pooled(source), **clouds}
        log_projector(
            writer,
            "representations",
            torch.cat(list(clouds.values())),
            {
                **{what: words * len(clouds) for what, words in data.label_columns(labels).items()},
                "representation": [name for name in clouds for _ in labels],
            },
            None if pictures is None else pictures.repeat(len(clouds), 1, 1, 1),
            limit=len(clouds) * _POINTS,
        )
        final = {what: numbers[f"{what}/after"] for what in _FOUND if f"{what}/after" in numbers}
        add_row(writer, _facts(plan), final)
    for logger in trainer.loggers:
        if not isinstance(logger, pl.loggers.TensorBoardLogger):
            logger.log_metrics(dict(numbers), trainer.global_step)
        logger.finalize("success")


def training_line(plan: StitchPlan, data: ImageData) -> str:
    """How stitches are trained, in a sentence; nothing where none is.

    Asked before `augment` is taken from the data.
    """
    if not plan.trained_epochs:
        return ""
    changed = "as they are"
    if plan.augment and data.changes:
        changed = "changed at random, as the data set has it (‹no_augment›: as they are)"
    return (
        f"Trained for {counted(plan.trained_epochs, 'epoch')} by {plan.optimizer}, lr {plan.lr:g}, "
        f"{plan.batch_size} images a batch, which are {changed}."
    )


def _for_what(plan: StitchPlan) -> str:
    """What it is trained for, as the end of a sentence."""
    if not plan.trained_epochs:
        return "not trained: `after` is `before`"
    then = ", for the second half of its epochs by task loss" if plan.then else ""
    return f"trained by the objective {plan.objective_name}: {plan.objective_row.about}{then}"


def _facts(plan: StitchPlan) -> dict[str, str]:
    """What TensorBoard's table of runs has of a plan: what tells most apart first, no defaults."""
    networks = {role: told_name(getattr(plan, role)) for role in ("sender", "receiver")}
    fields = {name: getattr(plan, name) for name in _TOLD_APART_BY}
    defaults = {name: one.default for name, one in options_of(StitchPlan).items()}
    changed = {
        name: str(value)
        for name, value in fields.items()
        if name in _FIRST or value not in (None, defaults[name])
    }
    layers = {name: changed.pop(name) for name in ("sender_layer", "receiver_layer")}
    return {"family": plan.family_in_words, **layers, **networks, **changed}


def write_stitch_page(
    run: Run,
    plan: StitchPlan,
    data: ImageData,
    stitches: Mapping[str, Stitch],
    controls: Controls,
    solved_on: int,  # training images
    warned: Sequence[str] = (),  # beside what the numbers say
    trained: str = "",  # how, in a sentence
) -> None:
    """The page of a run whose numbers and record are complete, and what its terminal shows."""
    numbers = run.numbers
    starts = "its family's closed form (init: ps_inv)" if plan.init == "ps_inv" else plan.init
    found = found_of(numbers, plan, data)
    run.finding = found[0] if found else ""
    run.shown += shown_scores(numbers, plan, run.name, run.networks)
    run.shown += [trained] if trained else []
    run.shown += [f"warning: {line}" for line in warned]
    same = row_names([*KINDS], same_maps(numbers, plan))
    accuracy = accuracy_picture(numbers, plan)
    write_page(
        run,
        f"Stitch {run.name}",
        [
            *(f"**Warning:** {line}." for line in (*warned, *stitch_warnings(numbers, plan))),
            accuracy,
            *(
                [Fold("What the other stitches of this run show", "\n\n".join(found[1:]))]
                if found[1:]
                else []
            ),
            *score_blocks(numbers, plan, controls),
            *depth_pictures(numbers, plan),
            *(
                Picture(
                    kind,
                    weight_matrix(stitches[kind].affine_map()[0].detach().cpu(), name),
                    f"Weights of the stitch `{name}`: row j says which source units make up "
                    "target unit j.",
                )
                for kind, name in same.items()
                if STITCHES[plan.family_name].affine or kind == "ps_inv"
            ),
            "## How it was stitched",
            f"The front of {code(plan.sender)} up to {code(plan.layers[0])}, a stitch, and the end "
            f"of {code(plan.receiver)} behind {code(plan.layers[1])}.",
            f"The stitch is of the family {plan.family_in_words}. It starts at {starts} and is "
            f"{_for_what(plan)}. {trained} What is solved is solved on "
            f"{solved_on:,} training images; everything above is measured on held-out ones. "
            "Measures compare stitched with target, flattened as is said of each above.",
        ],
    )
    with SummaryWriter(str(run.folder)) as writer:  # beside what was logged in training
        add_page(writer, run, {"stitch/accuracy": accuracy})
