"""One training run: a network of the zoo, from seeds to a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn

from frankenstein.callbacks import Every, SeededSteps, TrainingBar
from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.networks.checks import at_least, check_data, data_for
from frankenstein.networks.label_checks import num_classes_of
from frankenstein.runs.folder import RunFolder, run_folder
from frankenstein.tasks import Classifier
from frankenstein.training.interrupted import telling_how_far
from frankenstein.training.page import write_train_report
from frankenstein.training.processes import all_processes
from frankenstein.training.trainer import hardware_of, make_trainer, quiet_lightning
from frankenstein.zoo import Card, build_network, network_sha256, save_network


def run_train(values: dict[str, Any], config: str) -> tuple[Path, dict[str, float], list[str]]:
    """Run `frankenstein train` with these values: its folder, held-out scores and warnings."""
    at_least(epochs=(values["epochs"], 0), save_frequency=(values["save_frequency"], 1))
    at_least(lr=(values["lr"], 0), weight_decay=(values["weight_decay"], 0))
    num_classes = num_classes_of(values["dataset"], values["data_root"])
    network = build_network(
        values["model"],
        num_classes,
        DATASETS[values["dataset"]].in_channels,
        values["init_noise"],
        values["image_size"],
        values["weights"],
    )
    card = _card(values, num_classes, network)
    data = data_for(network, card.dataset, values)
    check_data(data, values["quiet"])
    task = Classifier(network, values["lr"], values["weight_decay"], values["optimizer"])
    name = values["run_name"] or (
        f"{card.architecture}-{card.dataset}-in{card.init_seed}-gn{card.order_seed}"
    ).replace("/", "-")
    size = _bytes(network) * (8 + _snapshots(values, data))  # a checkpoint has Adam's two moments
    folder = run_folder(values["out_dir"], "train", name, config, values["resume"], size=size)
    with folder as run, quiet_lightning():
        run.say_name()
        bars = [] if values["quiet"] else [TrainingBar()]
        snapshots = Every(values["save_frequency"], _snapshot(run, network, card))
        callbacks = [SeededSteps(values["gradient_noise"]), snapshots, *bars]
        trainer = make_trainer(run.path, values["epochs"], callbacks, hardware_of(values))
        with all_processes(trainer):
            with telling_how_far(run, trainer, name):
                trainer.fit(task, data, ckpt_path=run.checkpoint, weights_only=True)
            if "val/accuracy" not in trainer.callback_metrics:  # there was no epoch left to train
                trainer.validate(task, data, verbose=False)
        if not run.leads:
            return run.path, {}, []
        for key in ("accuracy", "loss"):
            run.summary[f"{key}/held_out"] = trainer.callback_metrics[f"val/{key}"].item()
        save_network(run.path / "network.safetensors", network, card)
        run.facts["network"] = network_sha256(network)
        run.facts["seeds"] = {"init": card.init_seed, "order": card.order_seed}
        run.facts["device"] = str(trainer.strategy.root_device)
        warnings = write_train_report(run, name, values, network, card, data)
    return run.path, run.summary, warnings


def _card(values: dict[str, Any], num_classes: int, network: nn.Module) -> Card:
    return Card(
        architecture=values["model"],
        num_classes=num_classes,
        in_channels=DATASETS[values["dataset"]].in_channels,
        dataset=values["dataset"],
        init_seed=values["init_noise"],
        order_seed=values["gradient_noise"],
        epochs=values["epochs"],
        image_size=values["image_size"],
        weights=getattr(network, "weights", None),
    )


def _bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def _snapshots(values: dict[str, Any], data: ImageData) -> int:
    return 1 + values["epochs"] * len(data.train_dataloader()) // values["save_frequency"]


def _snapshot(run: RunFolder, network: nn.Module, card: Card) -> Callable[[pl.Trainer, Any], None]:
    def save(trainer: pl.Trainer, module: Any) -> None:
        folder = run.path / "snapshots"
        folder.mkdir(exist_ok=True)
        save_network(folder / f"step{trainer.global_step}.safetensors", network, card)

    return save
