"""One stitching run, from two files to a folder: solve, train, evaluate, show."""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from frankenstein.callbacks import Every, RepresentationSimilarity, TrainingBar, draw_stitch
from frankenstein.cli.checks import at_least, data_for
from frankenstein.cli.joint import Joint, load_joint
from frankenstein.cli.run_folder import CHECKPOINT, run_folder, short_name
from frankenstein.cli.stitch_options import epochs_of, make_stitch, start_stitch
from frankenstein.cli.stitch_report import log_boards, write_stitch_report
from frankenstein.cli.trainer import hardware_of, make_trainer, quiet_lightning
from frankenstein.cli.waiting import waiting
from frankenstein.compare import evaluate_stitches
from frankenstein.stitches import Affine, Stitch, save_stitch
from frankenstein.tasks import Stitching, cka_regularized, matching_moments, task_loss
from frankenstein.zoo import network_sha256


def run_stitch(values: dict[str, Any], config: str) -> tuple[Path, dict[str, float]]:
    """Run `frankenstein stitch` with these values; returns its folder and scores."""
    at_least(
        epochs=(values["epochs"], 0),
        save_frequency=(values["save_frequency"], 1),
        lr=(values["lr"], 0),
    )
    joint = load_joint(values)
    stitch = make_stitch(values, joint.in_channels, joint.out_channels)
    data = data_for(joint.receiver, values["dataset"] or joint.card.dataset, values)
    name, quiet, epochs = values["run_name"] or _name(values), values["quiet"], epochs_of(values)
    with run_folder(values["out_dir"], "stitch", name, config) as run, quiet_lightning():
        task = _task(values, joint, stitch)
        frames = Every(values["save_frequency"] * max(1, epochs), draw_stitch)
        callbacks = [RepresentationSimilarity(values["measures"]), frames]
        bars = [] if quiet else [TrainingBar(f"training {name}")]
        trainer = make_trainer(run.path, epochs, [*callbacks, *bars], hardware_of(values))
        device = trainer.strategy.root_device
        task.to(device)
        moments = matching_moments(
            task.sender.front,
            task.receiver.front,
            waiting(data.train_batches(), f"solving {name}", quiet),
            device,
        )
        start_stitch(stitch, values, moments)
        before = copy.deepcopy(stitch)
        ps_inv = Affine(joint.in_channels, joint.out_channels).solve(moments)
        if epochs:
            trainer.fit(task, data)
            (run.path / CHECKPOINT).unlink(missing_ok=True)
            if distributed.is_initialized():  # from here on the first process sees all examples
                distributed.destroy_process_group()
            if not run.leads:
                return run.path, {}
        stitches = {"before": before, "after": stitch, "ps_inv": ps_inv}
        task.to(device)
        scores = evaluate_stitches(
            task.sender,
            task.receiver,
            {kind: one.to(device) for kind, one in stitches.items()},
            waiting(data.val_batches(), f"evaluating {name}", quiet),
            values["measures"],
            device,
        )
        run.summary.update(scores)
        run.facts.update(_facts(values, joint, device))
        for kind, one in stitches.items():
            save_stitch(run.path / f"{kind}.safetensors", one, run.facts["joins"])
        log_boards(trainer, task, data, values, scores)
        write_stitch_report(run.path, name, values, stitches, scores)
    return run.path, scores


def _name(values: dict[str, Any]) -> str:
    """The networks' file names, the layers and what makes this stitch unlike others."""
    ends = [short_name(values["sender"]), short_name(values["receiver"])]
    special = [f"r{values['low_rank']}"] if values["low_rank"] is not None else []
    special += [f"l1-{values['l1']:g}"] if values["l1"] is not None else []
    special += [f"cka{values['cka_reg']:g}"] if values["cka_reg"] else []
    special += [values["family"]] if values["family"] and not special else []
    return "-".join(
        [*ends, values["sender_layer"], values["receiver_layer"], *special, values["init"]]
    )


def _task(values: dict[str, Any], joint: Joint, stitch: Stitch) -> Stitching:
    weight = values["cka_reg"]
    return Stitching(
        joint.sender,
        joint.receiver,
        values["sender_layer"],
        values["receiver_layer"],
        stitch,
        objective=cka_regularized(task_loss, weight) if weight else task_loss,
        num_classes=joint.card.num_classes,
        lr=values["lr"],
        weight_decay=values["weight_decay"],
        optimizer=values["optimizer"],
    )


def _facts(values: dict[str, Any], joint: Joint, device: torch.device) -> dict[str, Any]:
    return {
        "joins": {
            "sender": network_sha256(joint.sender),
            "receiver": network_sha256(joint.receiver),
            "sender_layer": values["sender_layer"],
            "receiver_layer": values["receiver_layer"],
        },
        "seeds": {"stitch": values["seed"]},
        "device": str(device),
    }
