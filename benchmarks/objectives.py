"""What a step of each objective costs, over one of task loss, with augmentation and with a cache.

All take turns within one process, on the same batches and from the same start. `augmented` computes
both fronts at every step; `cached` is what `--no-augment` does: what an objective reads of the
frozen fronts, and of the receiver's later layers, is there already.
"""

import argparse
import copy
import statistics
import time
from itertools import cycle, islice

import torch
from torch import Tensor

from frankenstein.data.batches import shuffled
from frankenstein.stitches import Affine
from frankenstein.surgery import cut_points
from frankenstein.surgery.key_layers import later_layers
from frankenstein.tasks import Stitching, direct_mse, task_loss
from frankenstein.tasks.data_module import _flat, _nested
from frankenstein.tasks.objectives.final_features import final_features
from frankenstein.tasks.objectives.latent_alignment import latent_alignment
from frankenstein.tasks.optimizers import make_optimizer
from frankenstein.zoo import load_network

NETWORKS = "model_weights/tiny10/fashion/in{0}-gn{0}.safetensors"
BATCH, BATCHES, LR = 128, 10, 1e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", nargs="+", default=["bn3", "bn5"])
    parser.add_argument("--steps", type=int, default=4, help="steps a turn")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each, after one more")
    options = parser.parse_args()
    torch.manual_seed(0)
    images = torch.rand(BATCH * BATCHES, 1, 32, 32)
    labels = torch.randint(10, (len(images),))
    print("| cut after | way | objective | ms a step | over task loss (least to most) |")
    print("| --- | --- | --- | ---: | ---: |")
    for layer in options.layers:
        tasks = tasks_at(layer)
        for way, cached in (("augmented", False), ("cached", True)):
            seconds = take_turns(tasks, images, labels, cached, options.steps, options.rounds)
            for name, times in seconds.items():
                ratios = [a / b for a, b in zip(times, seconds["task"], strict=True)]
                spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                each = 1000 * statistics.median(times) / options.steps
                print(f"| {layer} | {way} | {name} | {each:.1f} | {spread} |")


def tasks_at(layer: str) -> dict[str, Stitching]:
    """A task of each objective, all from one start."""
    sender, receiver = (load_network(NETWORKS.format(i)) for i in (0, 1))
    later = later_layers(receiver, layer)
    start = Affine(cut_points(sender)[layer][0], cut_points(receiver)[layer][0])
    objectives = {
        "task": (task_loss, ()),
        "direct": (direct_mse, ()),
        "final_features": (final_features(later), later[-1:]),
        "latent_alignment": (latent_alignment(later), later),
    }
    return {
        name: Stitching(
            sender,
            receiver,
            layer,
            layer,
            copy.deepcopy(start),
            objective=objective,
            later=followed,
            lr=LR,
        )
        for name, (objective, followed) in objectives.items()
    }


def take_turns(
    tasks: dict[str, Stitching],
    images: Tensor,
    labels: Tensor,
    cached: bool,
    steps: int,
    rounds: int,
) -> dict[str, list[float]]:
    """Seconds of every turn but the first; who begins changes."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    optimizers = {
        name: make_optimizer(task.optimizer_name, task.stitch.parameters(), LR, 0.0)
        for name, task in tasks.items()
    }
    kept = {name: known(task, images, labels) for name, task in tasks.items()} if cached else {}
    batches = cycle(shuffled(len(images), BATCH, order_seed=0)(0))
    names = [*tasks]
    for turn in range(rounds + 1):
        chosen = list(islice(batches, steps))
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            task, optimizer = tasks[name], optimizers[name]
            began = time.perf_counter()
            for rows in chosen:
                some = images[rows]
                if cached:
                    some = _nested({key: z[rows] for key, z in kept[name].items()})
                optimizer.zero_grad()
                task.objective(task.one_pass((some, labels[rows]))).backward()
                optimizer.step()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


@torch.no_grad()
def known(task: Stitching, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """What the objective reads of every image, as `Unaugmented` keeps it."""
    parts = []
    for rows in torch.arange(len(images)).split(BATCH):
        now = task.one_pass((images[rows], labels[rows]))
        task.objective(now)
        names = [name for name in ("source", "target", "target_later") if name in vars(now)]
        parts.append(_flat(now, names))
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


if __name__ == "__main__":
    main()
