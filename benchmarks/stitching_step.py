"""What a step of training a stitch costs: whole networks and hooks, halves, halves with a cache.

`whole-network hooks` is what Dr. Frankenstein does at every step: both networks run from end to
end, one hook takes the sender's activation out and another puts the stitched one in place of the
receiver's. The three ways take turns within one process, on the same batches and from the same
start, and must arrive at the same weights, bit for bit.
"""

import argparse
import copy
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice

import torch
from claims import DATA_ROOT, Claim, at_least, ratios
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam
from torchvision import transforms

from frankenstein.data import DataError, Fashion, Synthetic
from frankenstein.data.batches import shuffled
from frankenstein.stitches import Affine
from frankenstein.surgery import cut_points
from frankenstein.tasks import Stitching
from frankenstein.tasks.optimizers import make_optimizer
from frankenstein.zoo import load_network

WHOLE, HALVES, CACHED = "whole-network hooks", "halves", "halves, source cached"
NETWORKS = "model_weights/tiny10/fashion/in{0}-gn{0}.safetensors"
BATCH, BATCHES, LR = 128, 20, 1e-3
Step = Callable[[Tensor], object]  # of row numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    parser.add_argument("--layers", nargs="+", default=["bn3", "bn5"])
    parser.add_argument("--steps", type=int, default=5, help="steps a turn")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each way, after one more")
    options = parser.parse_args()
    if options.steps * options.rounds < 40:
        parser.error("weights are compared after at least 40 steps")

    name, pixels, images, labels = load(options.data_root)
    print(
        f"Tiny-10 on {name}, batches of {BATCH}: {options.rounds} turns of {options.steps} steps "
        f"each; {platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}.\n\n"
        "| cut after | way | ms a step | whole-network hooks takes, median (least to most) |\n"
        "| --- | --- | ---: | ---: |"
    )
    for layer in options.layers:
        networks = [load_network(NETWORKS.format(i)) for i in (0, 1)]
        steps, weights = ways(*networks, layer, images, labels)
        seconds = take_turns(steps, options.steps, options.rounds)
        check_equal(weights, layer)
        for way, times in seconds.items():
            ratios = [a / b for a, b in zip(seconds[WHOLE], times, strict=True)]
            spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"
            each = 1000 * statistics.median(times) / options.steps
            print(f"| {layer} | {way} | {each:.1f} | {'' if way == WHOLE else spread} |")
    print(
        f"\nWeights after {options.steps * (options.rounds + 1)} steps are equal bit for bit. Not "
        "in the ratios: Dr. Frankenstein's preprocessing, image by image, takes one process "
        f"{1000 * preprocess(pixels[:BATCH]):.0f} ms a batch."
    )


def claims() -> list[Claim]:
    """Halves against whole networks and hooks, behind two layers."""
    goals = {("bn3", HALVES): 1.6, ("bn3", CACHED): 2.4, ("bn5", HALVES): 1.8, ("bn5", CACHED): 5.5}
    _, _, images, labels = load(DATA_ROOT)
    rows = []
    for layer in ("bn3", "bn5"):
        networks = [load_network(NETWORKS.format(i)) for i in (0, 1)]
        steps, weights = ways(*networks, layer, images, labels)
        seconds = take_turns(steps, 5, 20)
        check_equal(weights, layer)
        for way in (HALVES, CACHED):
            turns = ratios(seconds[WHOLE], seconds[way])
            title = f"step of a stitch after {layer}: whole networks with hooks, over {way}"
            rows.append(at_least(title, turns, goals[layer, way]))
    return rows


def check_equal(weights: dict[str, Callable[[], Tensor]], layer: str) -> None:
    for way in (HALVES, CACHED):
        assert torch.equal(weights[way](), weights[WHOLE]()), f"{way}: other weights at {layer}"


def ways(
    sender: nn.Module, receiver: nn.Module, layer: str, images: Tensor, labels: Tensor
) -> tuple[dict[str, Step], dict[str, Callable[[], Tensor]]]:
    """Steps on images of given row numbers, from one start, and the weights they have led to."""
    start = Affine(cut_points(sender)[layer][0], cut_points(receiver)[layer][0])
    # Hooks live in the networks that they were written into: this way has networks of its own.
    frank = Frank(*copy.deepcopy((sender, receiver)), layer, start)
    tasks = {
        way: Stitching(sender, receiver, layer, layer, copy.deepcopy(start), lr=LR)
        for way in (HALVES, CACHED)
    }
    steps = {
        WHOLE: whole(frank, images, labels),
        HALVES: halves(tasks[HALVES], images, labels),
        CACHED: halves(tasks[CACHED], images, labels, sources(tasks[CACHED], images)),
    }
    weights = {way: (lambda s=task.stitch: s.weight.detach()) for way, task in tasks.items()}
    return steps, {WHOLE: lambda: frank.transform.weight.detach().flatten(1), **weights}


class Frank(nn.Module):
    """Both networks whole: https://github.com/renyi-ai/drfrankenstein, src/models/frank."""

    def __init__(
        self, front_model: nn.Module, end_model: nn.Module, layer: str, start: Affine
    ) -> None:
        super().__init__()
        self.front_model, self.end_model = front_model, end_model
        self.requires_grad_(False).eval()
        self.transform = nn.Conv2d(start.in_channels, start.out_channels, kernel_size=1)
        self.transform.weight.data.copy_(start.weight[:, :, None, None])
        self.transform.bias.data.copy_(start.bias)
        front_model.get_submodule(layer).register_forward_hook(self.save_activation)
        end_model.get_submodule(layer).register_forward_hook(self.override_activation)

    def save_activation(self, module: nn.Module, given: object, output: Tensor) -> None:
        self.transform_input = output

    def override_activation(self, module: nn.Module, given: object, output: Tensor) -> Tensor:
        self.last_m2_out = output
        return self.forced_output

    def forward(self, images: Tensor) -> Tensor:
        self.front_model(images)
        self.forced_output = self.transform(self.transform_input)
        return self.end_model(images)


def whole(frank: Frank, images: Tensor, labels: Tensor) -> Step:
    optimizer = Adam(frank.parameters(), LR)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        functional.cross_entropy(frank(images[rows]), labels[rows]).backward()
        optimizer.step()

    return step


def halves(task: Stitching, images: Tensor, labels: Tensor, kept: Tensor | None = None) -> Step:
    optimizer = make_optimizer(task.optimizer_name, task.stitch.parameters(), task.lr, 0.0)

    def step(rows: Tensor) -> None:
        optimizer.zero_grad()
        seen = images[rows] if kept is None else {"source": kept[rows]}
        task.objective(task.one_pass((seen, labels[rows]))).backward()
        optimizer.step()
        task.stitch.after_step(optimizer)

    return step


@torch.no_grad()
def sources(task: Stitching, images: Tensor) -> Tensor:
    """The sender's representations, in order, in as many as a training batch has."""
    return torch.cat([task.sender.front(some) for some in images.split(BATCH)])


def take_turns(steps: dict[str, Step], length: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of every turn but the first, which is for warming up; who begins changes."""
    seconds: dict[str, list[float]] = {way: [] for way in steps}
    batches = cycle(shuffled(BATCH * BATCHES, BATCH, order_seed=0)(0))
    for turn in range(rounds + 1):
        chosen = list(islice(batches, length))
        for way in list(steps)[turn % 3 :] + list(steps)[: turn % 3]:
            began = time.perf_counter()
            for rows in chosen:
                steps[way](rows)
            if turn:
                seconds[way].append(time.perf_counter() - began)
    return seconds


def load(data_root: str) -> tuple[str, Tensor, Tensor, Tensor]:
    """What it is, its pixels (28x28, uint8), and prepared images (32x32) with labels."""
    count = BATCH * BATCHES
    try:
        data = Fashion(image_size=32, data_root=data_root)
        data.setup()
        pixels = data.load("train")[0][:count]
    except DataError as error:
        print(f"{error}\ntaking made-up images of the same size instead\n")
        data = Synthetic(image_size=32, in_channels=1, train_size=count)
        data.setup()
        pixels = data.train_images[:, :, 2:30, 2:30]
    return data.name, pixels, data.prepare(data.train_images[:count]), data.train_labels[:count]


def preprocess(pixels: Tensor) -> float:
    """Seconds for these images, one by one, through its transforms of MNIST and Fashion-MNIST."""
    transform = transforms.Compose(
        [
            transforms.Resize((32, 32)),
            transforms.Pad(4, padding_mode="edge"),
            transforms.RandomAffine(5, scale=(0.9, 1.1), shear=5, fill=0),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.1307], std=[0.3081]),
        ]
    )
    began = time.perf_counter()
    torch.stack([transform(Image.fromarray(image[0].numpy())) for image in pixels])
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
