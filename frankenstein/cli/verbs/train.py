"""`train.py` and `frankenstein train`: a network of the zoo."""

from pathlib import Path
from typing import Annotated, Literal

from frankenstein.runs.types import DatasetName, NetworkName


def train(
    *,
    model: Annotated[NetworkName, "-m"] = "tiny10",
    weights: str | None = None,
    image_size: int | None = None,
    dataset: Annotated[DatasetName, "-d"] = "cifar10",
    init_noise: Annotated[int, "-i"] = 0,
    gradient_noise: Annotated[int, "-g"] = 0,
    epochs: Annotated[int, "-e"] = 300,
    batch_size: Annotated[int, "-b"] = 128,
    lr: Annotated[float, "-lr"] = 0.1,
    weight_decay: Annotated[float, "-wd"] = 1e-4,
    optimizer: Annotated[Literal["sgd", "adam"], "-opt"] = "sgd",
    save_frequency: Annotated[int, "-s"] = 10_000,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str | None = None,
    resume: bool = False,
    quiet: bool = False,
    accelerator: Annotated[str, "trainer"] = "auto",
    devices: Annotated[str, "trainer"] = "auto",
    strategy: Annotated[str, "trainer"] = "auto",
    precision: Annotated[str, "trainer"] = "32-true",
) -> Path:
    """Train a network of the zoo and save it.

    SGD has Nesterov momentum 0.9; the learning rate is cut by 10 at one third and two thirds
    of the epochs. The same two seeds give the same weights, bit for bit, on one machine.

    Args:
        model: network of the zoo
        weights: trained weights to start from, for torchvision/<name>; DEFAULT for the best
        image_size: pixels to which images are resized; what the network is made for if absent
        dataset: data set
        init_noise: seed of the initial weights
        gradient_noise: seed of the batch order and of augmentation
        epochs: passes over the training data
        batch_size: images a step, over all devices together
        lr: learning rate at the start
        weight_decay: weight decay
        optimizer: optimizer
        save_frequency: steps between snapshots of the weights
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/train; made from model, data set and seeds if absent
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        resume: go on with the unfinished run of the same name; if it is finished, only say where
        quiet: no progress bar; print the folder only
        accelerator: cpu, gpu, or auto
        devices: how many devices, or which
        strategy: how several devices share the work (ddp, ...)
        precision: of the arithmetic (32-true, 16-mixed, bf16-mixed, ...)

    Examples:
        python train.py -m tiny10 -d digits -e 20
        python train.py -m lenet -d fashion -i 1 -g 1 -e 10 --data-root data
        python train.py -m resnet20_w1 -d cifar10
        python train.py -m torchvision/resnet18 --weights DEFAULT --image-size 64 -e 10 -lr 0.01
        python train.py --config configs/train/tiny10_digits.yaml -i 3
    """
    values = dict(locals())

    from frankenstein.cli.print_result import tell
    from frankenstein.report import rich_table
    from frankenstein.runs.config import dump
    from frankenstein.training.run import run_train

    folder, summary, warnings = run_train(values, dump(train, {**values, "resume": False}))
    table = rich_table([*summary.items()], ["", "value"], title=folder.name)
    warned = [f"warning: {line}" for line in warnings]
    return tell(folder, quiet, table, *warned, f"network:    {folder / 'network.safetensors'}")
