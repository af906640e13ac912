"""Memory at ten times the data: training, solving and comparing keep sums, not examples.

Images are made when a batch asks for them, as image files are read, so that the data itself takes
no memory. Each row is a process of its own: its peak, with Python and torch in it.
"""

import argparse
import platform
import resource
import subprocess
import sys
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from torch import Tensor

from frankenstein.compare import similarity_matrix
from frankenstein.data import ImageData
from frankenstein.stitches import Affine
from frankenstein.surgery import cut
from frankenstein.tasks import Classifier, Stitching, matching_moments
from frankenstein.zoo import build_network


class Made:
    """Images that are made of their numbers."""

    def __init__(self, examples: int) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        numbers = torch.arange(self.examples)[rows] if isinstance(rows, slice) else rows
        pixels = torch.arange(1, 32 * 32 + 1)
        return (numbers[:, None] * pixels % 251).to(torch.uint8).view(-1, 1, 32, 32)


class Endless(ImageData):
    """As many images as are asked for."""

    name, classes, num_classes = "endless", tuple("0123456789"), 10
    in_channels, native_size, mean, std = 1, 32, (0.5,), (0.3,)
    examples = 0

    def load(self, split: str) -> tuple[Made, Tensor]:
        return Made(self.examples), torch.arange(self.examples) % 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, help="and ten times as many")
    parser.add_argument("--work", choices=WORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(peak(options.work, options.images))
        return
    print(
        f"LeNet on 32x32 images; {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}.\n\n"
        f"| work | {options.images:,} images, MB | {10 * options.images:,} images, MB | ratio |\n"
        "| --- | ---: | ---: | ---: |"
    )
    for work in WORKS:
        few, many = (in_a_process(work, options.images * times) for times in (1, 10))
        print(f"| {work} | {few / 1e6:.0f} | {many / 1e6:.0f} | {many / few:.3f} |", flush=True)


def in_a_process(work: str, images: int) -> int:
    words = [sys.executable, __file__, "--work", work, "--images", str(images)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1])


def peak(work: str, images: int) -> int:
    """The most bytes that this process has held in memory."""
    Endless.examples = images
    WORKS[work](Endless(batch_size=100, eval_batch_size=100))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def networks() -> list[torch.nn.Module]:
    return [build_network("lenet", 10, 1, init_seed=seed).eval() for seed in (0, 1)]


def fit(task: pl.LightningModule, data: ImageData) -> None:
    pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(task, data)


def train(data: ImageData) -> None:
    fit(Classifier(networks()[0]), data)


def stitch(data: ImageData) -> None:
    fit(Stitching(*networks(), "pool1", "pool1", Affine(6, 6)), data)


def solve(data: ImageData) -> None:
    fronts = [cut(network, after="pool1").front for network in networks()]
    Affine(6, 6).solve(matching_moments(*fronts, data.train_batches()))


def compare(data: ImageData) -> None:
    similarity_matrix(*networks(), data.val_batches())


WORKS: dict[str, Callable[[ImageData], None]] = {
    "train": train,
    "stitch": stitch,
    "solve": solve,
    "compare": compare,
}

if __name__ == "__main__":
    main()
