"""What the evaluation after a stitching run costs: against a training epoch, and by batch size.

Evaluated are both networks, three stitches with their measures and the controls, on the held-out
images; trained is one epoch by halves, augmentation included. A share of all images will do,
because the ratio is the same. Everything takes turns within one process.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import islice

import torch
from claims import DATA_ROOT, Claim, at_most, ratios
from torch import nn

from frankenstein.buffers import keep_buffers
from frankenstein.data import DataError, Fashion, ImageData, Synthetic
from frankenstein.data.seeded import seeded
from frankenstein.stitches import Affine
from frankenstein.stitching.controls import solve_controls
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut
from frankenstein.tasks import Stitching
from frankenstein.tasks.optimizers import make_optimizer
from frankenstein.zoo import build_network, load_network

NETWORKS = "model_weights/tiny10/fashion/in{0}-gn{0}.safetensors"
KINDS = ("before", "after", "ps_inv")
EVERY = 10  # of 10,000 held-out images 1,000 are for controls, and 1,000 training ones
STANDARD = 250  # ImageData's eval_batch_size
SIZES = (64, 100, 128, 200, 250, 300, 400, 500, 1000)
Part = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    parser.add_argument("--layer", default="bn3")
    parser.add_argument("--share", type=float, default=0.1, help="of all images that are used")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    keep_buffers()  # as every command does

    data = load(options.data_root)
    images = round(options.share * len(data.val_labels))
    steps = round(options.share * len(data.shuffled_batches()))
    seconds = measure(data, options.layer, options.share, options.rounds, SIZES)
    report(seconds, data, options.layer, images, steps, options.rounds)


def claims() -> list[Claim]:
    """An evaluation of all held-out images against a training epoch."""
    keep_buffers()
    seconds = measure(load(DATA_ROOT), "bn3", 1.0, 3, (STANDARD,))
    turns = ratios(seconds[STANDARD], seconds[0])
    return [at_most("evaluation after a run, over a training epoch", turns, 0.5)]


def measure(
    data: ImageData, layer: str, share: float, rounds: int, sizes: tuple[int, ...]
) -> dict[int, list[float]]:
    """Seconds by turn of a training epoch (0), and of evaluations in batches of each size."""
    networks = [load_network(NETWORKS.format(i)) for i in (0, 1)]
    task = Stitching(*networks, layer, layer, Affine(32, 32))
    images = round(share * len(data.val_labels))
    untrained = cut(build_network("tiny10", init_seed=2).eval(), after=layer).front
    parts = {size: evaluation(task, untrained, data, images, size) for size in sizes}
    steps = round(share * len(data.shuffled_batches()))
    return take_turns({0: epoch(task, data, steps), **parts}, rounds)


def report(
    seconds: dict[int, list[float]],
    data: ImageData,
    layer: str,
    images: int,
    steps: int,
    rounds: int,
) -> None:
    print(
        f"Tiny-10 on {data.name}, cut after {layer}, {images:,} held-out images, "
        f"{rounds} turns; {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}.\n"
    )
    print(
        f"Evaluation takes {spread(ratios(seconds[STANDARD], seconds[0]))} of a training epoch: "
        f"{statistics.median(seconds[STANDARD]):.1f} s for {images:,} images, "
        f"{statistics.median(seconds[0]):.1f} s for {steps} steps of {data.batch_size}.\n"
    )
    print(
        f"| images a batch | images a second | time, of {STANDARD} a batch |\n"
        "| ---: | ---: | ---: |"
    )
    for size in SIZES:
        turns = ratios(seconds[size], seconds[STANDARD])
        print(f"| {size} | {images / statistics.median(seconds[size]):,.0f} | {spread(turns)} |")


def epoch(task: Stitching, data: ImageData, steps: int) -> Part:
    optimizer = make_optimizer(task.optimizer_name, task.stitch.parameters(), task.lr, 0.0)

    def train() -> None:
        for step, (images, labels) in enumerate(islice(data.shuffled_batches(), steps)):
            seen = data.prepare(data.augment(images, seeded(0, 1, step, 0)))
            optimizer.zero_grad()
            task.objective(task.one_pass((seen, labels))).backward()
            optimizer.step()

    return train


def evaluation(
    task: Stitching, untrained: nn.Module, data: ImageData, images: int, size: int
) -> Part:
    data.eval_batch_size = size
    training, held_out = data.train_batches(images // EVERY), data.val_batches(images)
    halves = task.sender, task.receiver

    def evaluate() -> None:
        controls = solve_controls(untrained, task.receiver.front, task.align, training, every=EVERY)
        evaluate_stitches(*halves, dict.fromkeys(KINDS, task.stitch), held_out, controls=controls)

    return evaluate


def take_turns(parts: dict[int, Part], rounds: int) -> dict[int, list[float]]:
    seconds: dict[int, list[float]] = {name: [] for name in parts}
    for turn in range(rounds + 1):
        for name, part in parts.items():
            began = time.perf_counter()
            part()
            if turn:  # the first is for warming up
                seconds[name].append(time.perf_counter() - began)
    return seconds


def spread(turns: list[float]) -> str:
    return f"{statistics.median(turns):.2f} ({min(turns):.2f} to {max(turns):.2f})"


def load(data_root: str) -> ImageData:
    data: ImageData = Fashion(image_size=32, data_root=data_root)
    try:
        data.setup()
    except DataError as error:
        print(f"{error}\ntaking made-up images of the same size instead\n")
        sizes = {"train_size": 60_000, "test_size": 10_000}
        data = Synthetic(image_size=32, in_channels=1, **sizes)
        data.setup()
    return data


if __name__ == "__main__":
    main()
