"""Layer x layer unbiased CKA of large networks, against their passes and against pytorch-cka.

Random weights, one thread, blocks of 64. Time: every way takes turns in one process, and is over
both networks' passes as anybody writes them, without keeping freed memory, as the peer runs, too.
Memory: the peak of a process of its own, above that of one which runs the networks alone. Errors
are against float64 Gram matrices of the same activations.
"""

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torchvision
from claims import Claim, at_most, ratios
from similarity import floor, installed, layer_names, ours, pytorch_cka, references, take_turns
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 64
NAMES = ("resnet50", "vit_b_16", "resnet18-20", "resnet18-40", "resnet18-60")
# A small network takes more images: what is made once a call is not to weigh.
IMAGES = dict(zip(NAMES, (2 * BATCH, BATCH, 8 * BATCH, 8 * BATCH, 8 * BATCH), strict=True))
GOALS = dict(zip(NAMES, (1.15, 1.10, 1.10, 1.25, 1.5), strict=True))
TITLES = {
    "resnet50": "ResNet-50 at 112 px, 33 layers",
    "vit_b_16": "ViT-B/16, 32 points",
    "resnet18-20": "ResNet-18 at 64 px, 20 layers",
    "resnet18-40": "ResNet-18 at 64 px, 40 layers",
    "resnet18-60": "ResNet-18 at 64 px, 60 layers",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=NAMES, help=f"of {', '.join(NAMES)}")
    parser.add_argument("--images", type=int, help="else as many as the claims take")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine")
    parser.add_argument("--peak-of", choices=("floor", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak_of:
        print(peak(options.names[0], options.peak_of))
        return
    print(
        f"{'Processor' if options.cpu_time else 'Wall-clock'} time, images in "
        f"batches of {BATCH}, {options.rounds} turns; {platform.machine()}, {os.cpu_count()} "
        f"cores, 1 thread, torch {torch.__version__}.\n\n"
        "| network | way | times the passes | largest error | MB above the passes |\n"
        "| --- | --- | ---: | ---: | ---: |"
    )
    for name in options.names:
        seconds, errors = measure(
            name, options.images or IMAGES[name], options.rounds, options.cpu_time
        )
        for way, times in seconds.items():
            middle = statistics.median(ratios(times, seconds["passes"]))
            error = f"{errors[way]:.1e}" if way in errors else ""
            above = f"{memory(name):,.0f}" if way == "frankenstein" else ""
            print(f"| {TITLES[name]} | {way} | {middle:.2f} | {error} | {above} |", flush=True)


def claims() -> list[Claim]:
    """Of every network the time, the error, and beside the ResNet-50s memory and the peer."""
    torch.set_num_threads(1)
    rows = []
    for name in NAMES:
        title = f"unbiased CKA, {TITLES[name]}"
        seconds, errors = measure(name, IMAGES[name], 3 if "resnet" in name else 2, cpu_time=False)
        mine = seconds["frankenstein"]
        over = ratios(mine, seconds["passes"])
        rows.append(at_most(f"{title}: over the passes", over, GOALS[name]))
        rows.append(at_most(f"{title}: error", errors["frankenstein"], 1e-6, ""))
        if "pytorch-cka" in seconds:
            slower = ratios(mine, seconds["pytorch-cka"])
            rows.append(at_most(f"{title}: over pytorch-cka's time", slower, 1.0))
    title = f"unbiased CKA, {TITLES['resnet50']}: memory above the passes"
    return [*rows, at_most(title, memory("resnet50"), 150, " MB")]


def made(name: str) -> tuple[list[nn.Module], list[str], int]:
    """Two networks, the layers that are compared, and the size of an image."""
    torch.manual_seed(0)
    build = getattr(torchvision.models, name.partition("-")[0])
    networks = [build().eval() for _ in range(2)]
    if name == "resnet50":
        blocks = [f"layer{i}.{j}" for i, n in enumerate((3, 4, 6, 3), 1) for j in range(n)]
        return networks, ["conv1", *(f"{b}{of}" for b in blocks for of in (".conv3", ""))], 112
    if name == "vit_b_16":
        layers = [f"encoder.layers.encoder_layer_{i}" for i in range(12)]
        inner = [f"{layer}.{of}" for layer in layers for of in ("ln_1", "mlp")]
        return networks, [*layers, *inner[:20]], 224
    return networks, layer_names(networks[0], int(name.partition("-")[2])), 64


def batches_of(images: Tensor) -> DataLoader:
    return DataLoader(TensorDataset(images, torch.zeros(len(images))), batch_size=BATCH)


def measure(
    name: str, images: int, rounds: int, cpu_time: bool
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Seconds of every way by turn, and each way's largest error."""
    networks, names, size = made(name)
    x = torch.randn(images, 3, size, size)
    few = x[: 16 if name == "vit_b_16" else 2 * BATCH]  # whose exact values do not take minutes
    ours(networks, batches_of(x[:BATCH]), names, BATCH)  # for what is recorded at first
    clock = time.process_time if cpu_time else time.perf_counter
    seconds, _ = take_turns(ways_of(name, networks, names, batches_of(x)), rounds, clock)
    truth = references(networks, few, names, {BATCH})[BATCH]
    errors = {
        way: float((value - truth).abs().max())
        for way, run in ways_of(name, networks, names, batches_of(few)).items()
        if (value := run()) is not None
    }
    return seconds, errors


def ways_of(
    name: str, networks: list[nn.Module], names: list[str], loader: DataLoader
) -> dict[str, Callable[[], Tensor | None]]:
    ways: dict[str, Callable[[], Tensor | None]] = {
        "passes": lambda: floor(networks, loader),
        "frankenstein": lambda: ours(networks, loader, names, BATCH),
    }
    # Hooks have no names for the second call of a ReLU.
    if installed("pytorch-cka") and name != "resnet18-60":
        ways["pytorch-cka"] = lambda: pytorch_cka(networks, loader, names)
    return ways


def memory(name: str) -> float:
    """MB that a matrix holds above what running both networks does."""
    words = [sys.executable, __file__, name, "--peak-of"]
    mine, passes = (
        float(subprocess.check_output([*words, way], text=True).split()[-1])
        for way in ("ours", "floor")
    )
    return mine - passes


def peak(name: str, way: str) -> float:
    """MB at most of this process; what was recorded and proved of the networks counts in both."""
    networks, names, size = made(name)
    images = torch.randn(2 * BATCH, 3, size, size)
    loader = batches_of(images)
    ours(networks, batches_of(images[:4]), names, BATCH)
    if way == "floor":
        floor(networks, loader)
    else:
        ours(networks, loader, names, BATCH)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
