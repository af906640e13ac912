"""What a stitching run shows: TensorBoard's pages, the report, the table on the terminal."""

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch

from frankenstein.callbacks import writers
from frankenstein.data import ImageData
from frankenstein.networks.doubts import doubts
from frankenstein.report import (
    Picture,
    bars,
    framed,
    log_projector,
    weight_matrix,
)
from frankenstein.runs.folder import RunFolder
from frankenstein.runs.page import write_run_report
from frankenstein.shapes import pooled
from frankenstein.stitches import Stitch
from frankenstein.stitching.controls import Controls
from frankenstein.stitching.options import epochs_of, family_in_words
from frankenstein.stitching.score_tables import KINDS, score_blocks
from frankenstein.tasks import Stitching

_POINTS = 250  # examples of each network in the projector
_OPTIONS = (  # those that TensorBoard's table of runs tells apart by
    "sender_layer",
    "receiver_layer",
    "dataset",
    "family",
    "low_rank",
    "l1",
    "mask",
    "flatten",
    "init",
    "direct",
    "target_type",
    "temperature",
    "cka_reg",
    "epochs",
    "lr",
    "seed",
)


@torch.no_grad()
def log_boards(
    trainer: pl.Trainer,
    task: Stitching,
    data: ImageData,
    values: Mapping[str, Any],
    scores: Mapping[str, float],
) -> None:
    """Options with final scores, and both networks' representations as points."""
    for writer in writers(trainer):
        images, labels = next(iter(data.val_batches()))
        images, labels = images[:_POINTS].to(task.device), labels[:_POINTS]
        pictures = data.val_images[: len(labels)]
        if not data.multilabel:
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
            pictures.repeat(len(clouds), 1, 1, 1),
            limit=len(clouds) * _POINTS,
        )
    options = {key: str(values[key]) for key in _OPTIONS if values[key] is not None}
    final = {key: score for key, score in scores.items() if key.endswith("/after")}
    for logger in trainer.loggers:
        if isinstance(logger, pl.loggers.TensorBoardLogger):
            logger.log_hyperparams(options, final)
        else:
            logger.log_metrics(dict(scores), trainer.global_step)
        logger.finalize("success")


def write_stitch_report(
    run: RunFolder,
    name: str,
    values: Mapping[str, Any],
    stitches: Mapping[str, Stitch],
    scores: Mapping[str, float],
    controls: Controls,
) -> None:
    """The report of one run."""
    heights = {kind: scores[f"accuracy/{kind}"] for kind in KINDS}
    lines = {whose: scores[f"accuracy/{whose}"] for whose in ("sender", "receiver")}
    write_run_report(
        run,
        f"Stitch {name}",
        [
            f"The front of `{values['sender']}` up to `{values['sender_layer']}`, a stitch, and "
            f"the end of `{values['receiver']}` behind `{values['receiver_layer']}`.",
            f"The stitch is of the family {family_in_words(values)}. It starts {_start(values)} "
            f"and is trained for {epochs_of(values)} epochs (with 0, `after` is `before`). What "
            "is solved is solved on training images; everything below is measured on held-out "
            "ones. Measures compare stitched with target, flattened as is said of each below.",
            *(f"**Warning:** {line}." for line in doubts(scores, values)),
            *score_blocks(scores, values["measures"], family_in_words(values), controls),
            Picture(
                "accuracy",
                bars({kind: {"accuracy": height} for kind, height in heights.items()}, lines=lines),
                "Accuracy of the grafted network on held-out examples; the lines are the two "
                "networks by themselves. Near the receiver's line the stitch loses nothing.",
            ),
            *(
                Picture(
                    kind,
                    weight_matrix(stitches[kind].affine_map()[0].detach().cpu(), kind),
                    f"Weights of the stitch `{kind}`: row j says which source units make up target "
                    "unit j.",
                )
                for kind in KINDS
            ),
        ],
    )


def _start(values: Mapping[str, Any]) -> str:
    if values["init"] == "ps_inv":
        return "at its family's closed form (`--init ps_inv`)"
    return f"at {values['init']}"
