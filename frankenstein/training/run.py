"""One training run: a network of the zoo, from seeds to a file."""

import math
from dataclasses import replace
from functools import partial

import pytorch_lightning as pl
from torch import nn

from frankenstein.callbacks import Every, SeededSteps, TrainingBar, writers
from frankenstein.catalog import DATASETS, find_network
from frankenstein.data import ImageData
from frankenstein.data.changes import Changes
from frankenstein.data.text import Text
from frankenstein.data.tokenizers import Bytes
from frankenstein.errors import UserError
from frankenstein.labels import most_frequent
from frankenstein.networks.data import check_data, data_for, look_of, num_classes_of
from frankenstein.networks.network import Network
from frankenstein.networks.sources.zoo import of_the_zoo
from frankenstein.runs.page import add_page
from frankenstein.runs.plan import Command
from frankenstein.runs.run import Run
from frankenstein.surgery import seeing
from frankenstein.tasks import Classifier, DataModule
from frankenstein.training.page import write_train_page
from frankenstein.training.plan import TrainPlan
from frankenstein.training.processes import all_processes
from frankenstein.training.trainer import (
    hardware_of,
    make_trainer,
    quiet_lightning,
    telling_how_far,
)
from frankenstein.zoo import Card, build_network, save_network

_FILE = "network.safetensors"


def run_train(plan: TrainPlan, command: Command) -> Run:
    """Run the plan of `train`."""
    network = _new_network(plan)
    card = network.card
    data = data_for(
        network,
        card.dataset,
        plan.data_root,
        plan.batch_size,
        order_seed=plan.gradient_noise,
        texts=plan.texts,
    )
    check_data(data, plan.quiet)
    changes = Changes(**plan.changes)
    if (plan.random_labels or plan.marker is not None) and (not data.classed or not data.pictured):
        raise UserError(
            f"‹random_labels› and ‹marker› are for images of one class each, and {data.name} has "
            "others"
        )
    if isinstance(data, Text):
        card = replace(card, text=data.written)
        network = replace(network, card=card)
    seen = seeing(network.module, look_of(network, data))
    task = Classifier(seen, plan.lr, plan.weight_decay, plan.optimizer)
    name = plan.run_name or "-".join(
        [
            f"{card.architecture}-{card.dataset}-in{card.init_seed}-gn{card.order_seed}",
            *(f"{change}_{value:g}" for change, value in plan.changes.items()),
        ]
    ).replace("/", "-")
    size = _bytes(network.module) * (8 + _snapshots(plan, data))  # with Adam's two moments
    with Run.write(plan, name, command=command, size=size) as run, quiet_lightning():
        run.say_name(plan.quiet)
        bars = [] if plan.quiet else [TrainingBar()]
        save = partial(_snapshot, run, network)
        snapshots = Every(
            plan.save_frequency,
            lambda trainer, _: (
                _ends_kept_epoch(plan, trainer) or save(trainer, f"step{trainer.global_step}")
            ),
            lambda trainer, epoch: plan.keeps(epoch) and save(trainer, f"epoch{epoch}"),
        )
        callbacks = [SeededSteps(plan.gradient_noise), snapshots, *bars]
        trainer = make_trainer(run.folder, plan.epochs, callbacks, hardware_of(plan))
        with all_processes(trainer):
            with telling_how_far(run, trainer):
                trainer.fit(
                    task, DataModule(data, changes), ckpt_path=run.checkpoint, weights_only=True
                )
            if "val/accuracy" not in trainer.callback_metrics:  # there was no epoch left to train
                trainer.validate(task, DataModule(data, changes), verbose=False)
        if not run.leads:
            return run
        for key in ("accuracy", "loss"):
            run.numbers[f"{key}/held_out"] = trainer.callback_metrics[f"val/{key}"].item()
        if network.causal:
            run.numbers["perplexity/held_out"] = math.exp(run.numbers["loss/held_out"])
        save_network(run.folder / _FILE, network.module, card)
        run.record["network"] = network.sha256
        run.record["seeds"] = {"init": card.init_seed, "order": card.order_seed}
        run.record["device"] = str(trainer.strategy.root_device)
        run.record |= {"examples": data.num_val, "called": data.called}
        run.record["accuracy/most_frequent"] = most_frequent(data.val_labels)
        write_train_page(run, plan, network, data)
        for writer in writers(trainer):
            add_page(writer, run, {})
            writer.flush()
    run.shown.append(f"network:    {run.folder / _FILE}")
    return run


def _new_network(plan: TrainPlan) -> Network:
    """The network that is trained, with its first weights; its source is the zoo."""
    in_channels, reads = DATASETS[plan.dataset].in_channels, find_network(plan.model).reads
    if (reads == "text") != (in_channels == 0):
        raise UserError(
            f"{plan.model} takes {reads}, and {plan.dataset} has none; choose another ‹dataset›"
        )
    num_classes = num_classes_of(plan.dataset, plan.data_root) if in_channels else Bytes().size
    module = build_network(
        plan.model, num_classes, in_channels, plan.init_noise, plan.image_size, plan.weights
    )
    card = Card(
        architecture=plan.model,
        num_classes=num_classes,
        in_channels=in_channels,
        dataset=plan.dataset,
        init_seed=plan.init_noise,
        order_seed=plan.gradient_noise,
        epochs=plan.epochs,
        image_size=plan.image_size,
        weights=getattr(module, "weights", None),
        random_labels=float(plan.random_labels),
        marker=None if plan.marker is None else float(plan.marker),
        augmentation=plan.augmentation,
    )
    made = of_the_zoo(module, card)
    return Network(
        *(module, card, plan.model, "trained"),
        inputs=made.example,
        tokenizer=made.tokenizer,
        causal=made.causal,
    )


def _bytes(network: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.state_dict().values())


def _snapshots(plan: TrainPlan, data: ImageData) -> int:
    of_epochs = sum(map(plan.keeps, range(plan.epochs + 1)))
    return 1 + of_epochs + plan.epochs * len(data.shuffled_batches()) // plan.save_frequency


def _ends_kept_epoch(plan: TrainPlan, trainer: pl.Trainer) -> bool:
    """Whether the state as it is now is kept as that behind an epoch, and so by one name."""
    epoch, steps = divmod(trainer.global_step, int(trainer.num_training_batches))
    return not steps and plan.keeps(epoch)


def _snapshot(run: Run, network: Network, trainer: pl.Trainer, name: str) -> None:
    """The network as it is now, with a card that says when that is."""
    folder, step = run.folder / "snapshots", trainer.global_step
    folder.mkdir(exist_ok=True)
    epoch = step / trainer.num_training_batches
    card = replace(network.card, step=step, epoch=int(epoch) if epoch.is_integer() else epoch)
    save_network(folder / f"{name}.safetensors", network.module, card)
