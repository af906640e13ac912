"""What train.py's stack costs over a bare PyTorch loop: Tiny-10 on Fashion-MNIST, on the CPU.

Three ways to do the same steps take turns within one process, so that what slows the machine down
slows all of them: the Trainer as `train.py` builds it, a bare loop over batches that lie ready as
float tensors, and a bare loop that prepares and augments its batches as `train.py` does.
"""

import argparse
import io
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain, count, islice
from pathlib import Path

import pytorch_lightning as pl
import rich
import torch
from claims import DATA_ROOT, Claim, at_most, ratios
from torch import Tensor
from torch.nn import functional

from frankenstein.callbacks import Every, TrainingBar
from frankenstein.data import DataError, Fashion
from frankenstein.data.seeded import seeded
from frankenstein.tasks import Classifier, DataModule
from frankenstein.tasks.optimizers import make_optimizer
from frankenstein.training.trainer import make_trainer, quiet_lightning
from frankenstein.zoo import build_network

STACK, BARE, FED = "train.py", "bare loop", "bare loop that prepares and augments"
LR, WEIGHT_DECAY = 0.1, 1e-4
HARDWARE = {"accelerator": "cpu", "devices": "auto", "strategy": "auto", "precision": "32-true"}
Batch = tuple[Tensor, Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    # Scalars are logged every 10 steps, so only a multiple of 10 gives every turn its share.
    parser.add_argument("--steps", type=int, default=10, help="steps a turn")
    parser.add_argument("--rounds", type=int, default=45, help="turns of each way; 45: one epoch")
    parser.add_argument(
        "--cpu-time", action="store_true", help="one thread's processor time: for a busy machine"
    )
    options = parser.parse_args()
    if options.cpu_time:
        torch.set_num_threads(1)
    clock = time.process_time if options.cpu_time else time.perf_counter

    data = load(options.data_root)
    most = len(data.shuffled_batches())
    if not 1 <= options.steps <= most or options.rounds < 2:
        parser.error(f"a turn takes 1 to {most} steps, and there are at least 2 rounds")
    print(f"{'Processor' if options.cpu_time else 'Wall-clock'} time. ", end="")
    seconds = measure(data, options.steps, options.rounds, clock)
    print(table(seconds, data, options.steps))


def claims() -> list[Claim]:
    """A step of train.py against the bare loop's."""
    seconds = measure(load(DATA_ROOT), 10, 15, time.perf_counter)
    turns = ratios(seconds[STACK], seconds[BARE])
    return [at_most("training step of Tiny-10 with train.py, over a bare loop", turns, 1.15)]


def measure(
    data: Fashion, steps: int, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Seconds of every way by turn."""
    ready = [(data.prepare(images), labels) for images, labels in data.shuffled_batches()]
    loops = {
        BARE: bare_loop(chain.from_iterable(ready for _ in count()), steps),
        FED: bare_loop(augmented(data), steps),
    }
    # A bar is drawn as in a terminal, wherever this runs, but out of sight.
    rich.reconfigure(file=io.StringIO(), force_terminal=True, width=100)
    bar = TrainingBar("training")
    turns = Turns(steps, rounds, loops, bar, clock)
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        epochs = -(-(rounds + 1) // (len(ready) // steps))
        callbacks = [Every(10_000, lambda *_: None), bar, turns]
        task = Classifier(build_network("tiny10", init_seed=0), lr=LR, weight_decay=WEIGHT_DECAY)
        make_trainer(Path(folder), epochs, callbacks, HARDWARE).fit(task, DataModule(data))
    return turns.seconds


def load(data_root: str) -> Fashion:
    data = Fashion(image_size=32, data_root=data_root)
    try:
        data.setup()
    except DataError as error:
        print(f"{error}\ntaking random images of the same size instead\n")
        data = RandomImages(image_size=32)
        data.setup()
    data.val_images, data.val_labels = data.val_images[:250], data.val_labels[:250]  # not timed
    return data


class RandomImages(Fashion):
    name = "random images"

    def prepare_data(self) -> None:
        """Nothing to download."""

    def load(self, split: str) -> Batch:
        size = {"train": 60_000, "test": 10_000}[split]
        images = torch.randint(256, (size, 1, 28, 28), generator=seeded(0), dtype=torch.uint8)
        return images, torch.arange(size) % self.num_classes


def augmented(data: Fashion) -> Iterator[Batch]:
    batches = data.shuffled_batches()
    for step, (images, labels) in enumerate(chain.from_iterable(batches for _ in count())):
        yield data.prepare(data.augment(images, seeded(0, 1, step, 0))), labels


def bare_loop(batches: Iterator[Batch], steps: int) -> Callable[[], None]:
    network = build_network("tiny10", init_seed=0)
    optimizer = make_optimizer("sgd", network.parameters(), LR, WEIGHT_DECAY)

    def loop() -> None:
        for images, labels in islice(batches, steps):
            optimizer.zero_grad()
            functional.cross_entropy(network(images), labels).backward()
            optimizer.step()

    return loop


class Turns(pl.Callback):
    """Times the Trainer from the end of one step to the end of another, then lets the loops run."""

    def __init__(
        self,
        steps: int,
        rounds: int,
        loops: dict[str, Callable[[], None]],
        bar: TrainingBar,
        clock: Callable[[], float],
    ) -> None:
        self.steps, self.rounds, self.loops = steps, rounds, loops
        self.bar, self.clock = bar.bar, clock
        self.seconds: dict[str, list[float]] = {name: [] for name in (STACK, *loops)}

    def on_train_epoch_start(self, *_: object) -> None:
        self.began = self.clock()  # validation lies between two epochs, and is not timed

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: object, outputs: object, batch: object, index: int
    ) -> None:
        if (index + 1) % self.steps:
            return
        took = {STACK: self.clock() - self.began}
        deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)  # the Trainer's wish, not a bare loop's
        self.bar.stop()  # its thread would draw on the loops' time
        for name, loop in self.loops.items():
            began = self.clock()
            loop()
            took[name] = self.clock() - began
        self.bar.start()
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        if trainer.global_step > self.steps:  # the first turn is for warming up
            for name, seconds in took.items():
                self.seconds[name].append(seconds)
        if len(self.seconds[STACK]) == self.rounds:
            trainer.should_stop = True
        self.began = self.clock()


def table(seconds: dict[str, list[float]], data: Fashion, steps: int) -> str:
    rounds = len(seconds[STACK])
    lines = [
        f"Tiny-10 on {data.name}, batches of {data.batch_size}: {rounds} turns of {steps} steps "
        f"each; {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"Lightning {pl.__version__}.",
        "",
        "| way | ms a step | train.py takes, median (quarters) | fastest turns |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(seconds[STACK], times, strict=True)]
        low, middle, high = statistics.quantiles(ratios, method="inclusive")
        fastest = min(seconds[STACK]) / min(times)
        compared = f"{middle:.3f}x ({low:.3f} to {high:.3f}) | {fastest:.3f}x"
        step = f"{1000 * statistics.median(times) / steps:.1f}"
        lines.append(f"| {name} | {step} | {compared if name != STACK else ' | '} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
