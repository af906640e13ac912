"""One stitching run, from two files to a folder: solve, train, evaluate, show."""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, distributed, nn

from frankenstein.callbacks import Every, RepresentationSimilarity, TrainingBar, draw_stitch
from frankenstein.errors import UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.checks import check_data, data_for
from frankenstein.report.progress import progress
from frankenstein.runs.folder import run_folder
from frankenstein.runs.names import stitch_name
from frankenstein.stitches import Affine, save_stitch
from frankenstein.stitching.control_options import controls_for
from frankenstein.stitching.cost import cost_of
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.stitching.options import (
    check_numbers,
    epochs_of,
    make_stitch,
    objective_of,
    start_stitch,
)
from frankenstein.stitching.page import log_boards, write_stitch_report
from frankenstein.stitching.pair import Pair, load_joint
from frankenstein.surgery import Joint
from frankenstein.tasks import DataModule, Stitching, Unaugmented, matching_moments
from frankenstein.training.interrupted import telling_how_far
from frankenstein.training.processes import all_processes
from frankenstein.training.trainer import hardware_of, make_trainer, quiet_lightning
from frankenstein.zoo import network_sha256


def run_stitch(values: dict[str, Any], config: str) -> tuple[Path, dict[str, float]]:
    """Run `frankenstein stitch` with these values; returns its folder and scores."""
    check_numbers(values)
    objective = objective_of(values)
    pair = load_joint(values)
    units = pair.joint.source.units, pair.joint.target.units
    stitch = make_stitch(values, *units)
    dataset, cards = values["dataset"] or pair.card.dataset, {"network": pair.card}
    data = data_for(pair.receiver, dataset, values, cards=cards)
    name, quiet = values["run_name"] or stitch_name(values, dataset), values["quiet"]
    epochs = epochs_of(values)
    if epochs:
        check_data(data, quiet)
    few = 3 * values["batch_size"] if values["debug"] else None
    solving = data.train_batches(few or values["solve_on"])
    if not quiet:
        _say(pair.joint, solving.examples, len(data.train_labels), data.val_batches(few).examples)
    joins = _joins(values, pair)
    folder = run_folder(values["out_dir"], "stitch", name, config, values["resume"])
    with folder as run, quiet_lightning():
        run.say_name()
        task = Stitching(
            pair.sender,
            pair.receiver,
            values["sender_layer"],
            values["receiver_layer"],
            stitch,
            objective=objective,
            flatten=values["flatten"],
            lr=values["lr"],
            weight_decay=values["weight_decay"],
            optimizer=values["optimizer"],
        )
        frames = Every(values["save_frequency"] * max(1, epochs), draw_stitch)
        callbacks = [RepresentationSimilarity(values["measures"]), frames]
        bars = [] if quiet else [TrainingBar()]
        trainer = make_trainer(run.path, epochs, [*callbacks, *bars], hardware_of(values))
        if not epochs and values["devices"] != "auto" and trainer.num_devices > 1:
            raise UserError(
                f"a stitch that is solved and not trained is made on one device, got "
                f"--devices {values['devices']}; leave it out"
            )
        device = trainer.strategy.root_device
        task.to(device)
        ps_inv = _solve(task, values, progress(solving, "solving", quiet), device)
        before = copy.deepcopy(stitch)
        if epochs:
            if values["debug"]:
                trainer.limit_train_batches = trainer.limit_val_batches = 3
            plain = Unaugmented(data, task, say=Console(quiet=quiet).out)
            fitted = DataModule(data) if values["augment"] else plain
            with all_processes(trainer), telling_how_far(run, trainer, name):
                trainer.fit(task, fitted, ckpt_path=run.checkpoint, weights_only=True)
            if distributed.is_initialized():  # from here on the first process sees all examples
                distributed.destroy_process_group()
            if not run.leads:
                return run.path, {}
        stitches = {"before": before, "after": stitch, "ps_inv": ps_inv}
        task.to(device)
        controls = controls_for(values, pair, data, device, few)
        scores = evaluate_stitches(
            task.sender,
            task.receiver,
            {kind: nn.Sequential(task.align, one).to(device) for kind, one in stitches.items()},
            progress(data.val_batches(few), "evaluating", quiet),
            values["measures"],
            device,
            controls=controls,
        )
        scores["accuracy/most_frequent"] = most_frequent(data.val_labels)
        run.summary.update(scores)
        seeds = {"stitch": values["seed"]}
        run.facts |= {"joins": joins, "seeds": seeds, "device": str(device), "dataset": dataset}
        run.facts["examples"] = min(few or len(data.val_labels), len(data.val_labels))
        for kind, one in stitches.items():
            save_stitch(run.path / f"{kind}.safetensors", one, joins)
        log_boards(trainer, task, data, values, scores)
        write_stitch_report(run, name, values, stitches, scores, controls)
    return run.path, scores


def _solve(
    task: Stitching,
    values: dict[str, Any],
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Affine:
    """Put the task's stitch at its start; returns `ps_inv`. The sums are let go of."""
    front = nn.Sequential(task.sender.front, task.align)
    moments = matching_moments(front, task.receiver.front, batches, device)
    start_stitch(task.stitch, values, moments)
    return Affine(task.stitch.in_channels, task.stitch.out_channels).solve(moments)


def _say(joint: Joint, *images: int) -> None:
    """Tell what is done to the source, and what very many units cost."""
    for line in (joint.said, cost_of(joint, *images)):
        if line:
            Console().out(line, highlight=False)


def _joins(values: dict[str, Any], pair: Pair) -> dict[str, str]:
    return {
        "sender": network_sha256(pair.sender),
        "receiver": network_sha256(pair.receiver),
        "sender_layer": values["sender_layer"],
        "receiver_layer": values["receiver_layer"],
    }
