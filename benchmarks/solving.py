"""What the pseudo-inverse costs: sums over one pass against pinv of the whole activation matrix.

`pinv` is what Dr. Frankenstein does: both networks run whole, hooks take all activations out, and
numpy inverts the sender's matrix, a column of ones beside it, in float64. For all images that is
more memory than many machines have: --part says for how many. `QR`, block by block, is a reference
in little memory. Each row is a process of its own, so that its memory can be told.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from claims import DATA_ROOT, Claim, at_least, at_most
from torch import Tensor, nn

from frankenstein.accumulators.linear import least_squares
from frankenstein.buffers import keep_buffers
from frankenstein.data import DataError, Fashion, ImageData, Synthetic
from frankenstein.data.batches import Batches
from frankenstein.shapes import per_location
from frankenstein.stitches import Affine
from frankenstein.stitching.evaluate import evaluate_stitches
from frankenstein.surgery import cut
from frankenstein.tasks import matching_moments
from frankenstein.zoo import load_network

NETWORKS = "model_weights/tiny10/fashion/in{0}-gn{0}.safetensors"
Map = tuple[Tensor, Tensor]  # weight (E, D), bias (E,)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    parser.add_argument("--layer", default="bn3")
    parser.add_argument("--images", type=int, default=60_000, help="training images to solve on")
    parser.add_argument("--part", type=int, default=10_000, help="images for pinv: 0.25 GB a 1,000")
    parser.add_argument("--rounds", type=int, default=3, help="turns of pinv and sums on that part")
    parser.add_argument("--few", type=int, default=1000, help="images for the last row")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--into", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        torch.save(measure(options), options.into)
        return
    ways = ("pinv", "sums")
    turns = [[in_a_process(way, options.part) for way in ways] for _ in range(options.rounds)]
    rows = [("QR", options.images), ("sums", options.images), ("sums", options.few)]
    print(table(turns, [in_a_process(way, images) for way, images in rows]))


def claims() -> list[Claim]:
    """Sums against pinv on a part of the images, and the memory of sums on all of them."""
    given = ["--data-root", DATA_ROOT]
    turns = [[in_a_process(way, 10_000, given) for way in ("pinv", "sums")] for _ in range(3)]
    every = in_a_process("sums", 60_000, given)
    times = [pinv["seconds"] / sums["seconds"] for pinv, sums in turns]
    return [
        at_least("solving on 10,000 images: pinv, over sums", times, 5),
        at_most("the same: largest difference of a weight", apart(*turns[0]), 1e-9, ""),
        at_most("solving on 60,000 images by sums: memory", every["megabytes"], 100, " MB"),
    ]


def in_a_process(way: str, images: int, given: list[str] | None = None) -> dict[str, Any]:
    given = sys.argv[1:] if given is None else given
    with tempfile.TemporaryDirectory() as folder:
        into = str(Path(folder) / "answer.pt")
        more = ["--way", way, "--images", str(images), "--into", into]
        subprocess.run([sys.executable, __file__, *given, *more], check=True)
        return torch.load(into, weights_only=True)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Solve one way: the map, the seconds and memory it took, and how good it is."""
    if options.way == "sums":
        keep_buffers()  # as every command does
    data = load(options.data_root)
    networks = [load_network(NETWORKS.format(i)) for i in (0, 1)]
    halves = [cut(network, after=options.layer) for network in networks]
    whole = options.way == "pinv"
    parts = [
        Timed(Hooked(network, options.layer) if whole else front)
        for network, (front, _) in zip(networks, halves, strict=True)
    ]
    batches = data.train_batches(options.images)
    with torch.no_grad():
        images = next(iter(batches))[0]
        for part in parts:
            part(images)  # what code and libraries take at first
        forget_peak()
        once = [part(images) for part in parts]
    before = memory("VmHWM")  # the networks and a batch
    del once
    forget_peak()
    for part in parts:
        part.seconds = 0.0
    began = time.perf_counter()
    weight, bias = WAYS[options.way](*parts, batches)
    seconds = time.perf_counter() - began
    peak = memory("VmHWM")
    stitch = Affine(*weight.T.shape).approximate(weight, bias)
    scores = evaluate_stitches(*halves, {"it": stitch}, data.val_batches(), [])
    return {
        "way": options.way,
        "images": options.images,
        "about": f"Tiny-10 on {data.name}, cut after {options.layer}",
        "map": torch.cat([weight, bias[:, None]], 1),
        "seconds": seconds,
        "networks": sum(part.seconds for part in parts),
        "megabytes": (peak - before) / 1000,
        "accuracy": scores["accuracy/it"],
    }


def pinv(sender: nn.Module, receiver: nn.Module, batches: Batches) -> Map:
    x, y = (np.concatenate(some) for some in zip(*rows(sender, receiver, batches), strict=True))
    with_ones = np.ones((len(x), x.shape[1] + 1))
    with_ones[:, :-1] = x
    both = torch.from_numpy(np.linalg.pinv(with_ones) @ y).T
    return both[:, :-1], both[:, -1]


def sums(sender: nn.Module, receiver: nn.Module, batches: Batches) -> Map:
    return least_squares(matching_moments(sender, receiver, batches))


def qr(sender: nn.Module, receiver: nn.Module, batches: Batches) -> Map:
    triangle, d = None, 0
    for x, y in rows(sender, receiver, batches):
        block = np.hstack([x, np.ones((len(x), 1)), y]).astype(np.float64)
        d = x.shape[1]
        block = block if triangle is None else np.vstack([triangle, block])
        triangle = np.linalg.qr(block, mode="r")
    left, right = triangle[: d + 1, : d + 1], triangle[: d + 1, d + 1 :]
    both = torch.from_numpy(np.linalg.solve(left, right)).T
    return both[:, :-1], both[:, -1]


@torch.no_grad()
def rows(
    sender: nn.Module, receiver: nn.Module, batches: Batches
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for images, _ in batches:
        yield per_location(sender(images)).numpy(), per_location(receiver(images)).numpy()


WAYS = {"pinv": pinv, "sums": sums, "QR": qr}


class Hooked(nn.Module):
    """What a layer of a network puts out while the network runs from end to end."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        network.get_submodule(layer).register_forward_hook(self.keep)

    def keep(self, module: nn.Module, given: object, output: Tensor) -> None:
        self.kept = output

    def forward(self, images: Tensor) -> Tensor:
        self.network(images)
        return self.kept


class Timed(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.seconds = module, 0.0

    def forward(self, images: Tensor) -> Tensor:
        began = time.perf_counter()
        output = self.module(images)
        self.seconds += time.perf_counter() - began
        return output


def memory(field: str) -> int:
    """Kilobytes of this process's memory, VmRSS now or VmHWM at its peak (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


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


def table(turns: list[list[dict[str, Any]]], others: list[dict[str, Any]]) -> str:
    in_all, algebra = (
        [a / b for a, b in pairs] for pairs in zip(*map(seconds, turns), strict=True)
    )
    middle = sorted(in_all)[len(in_all) // 2]
    pinv, part = turns[in_all.index(middle)]  # the turn of the median ratio
    exact, every = others[:2]
    lines = [
        f"{pinv['about']}; {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}.",
        "",
        "| way | images | seconds | of which networks | memory above networks and batch "
        "| accuracy |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {it['way']} | {it['images']:,} | {it['seconds']:.1f} | {it['networks']:.1f} "
        f"| {it['megabytes']:,.0f} MB | {it['accuracy']:.2%} |"
        for it in (pinv, part, *others)
    ]
    megabytes = pinv["megabytes"] / part["megabytes"]
    lines += [
        "",
        f"On {part['images']:,} images pinv takes {middle:.1f}x ({min(in_all):.1f} to "
        f"{max(in_all):.1f}) the time of the sums in all, {statistics.median(algebra):.1f}x "
        f"without the networks, and {megabytes:.0f}x their memory. No weight of the sums is "
        f"further than {apart(part, pinv):.1e} from that of pinv; on {every['images']:,} images, "
        f"than {apart(every, exact):.1e} from that of QR. The largest weight is "
        f"{every['map'].abs().max():.1f}.",
    ]
    if (times := every["images"] / part["images"]) > 1:
        lines[-1] += (
            f" Extrapolated, not measured: on {every['images']:,} images pinv would take "
            f"{times * pinv['seconds']:.0f} s and {times * pinv['megabytes'] / 1000:.0f} GB."
        )
    return "\n".join(lines)


def seconds(turn: list[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """What both ways take in all, and without the networks."""
    return [it["seconds"] for it in turn], [it["seconds"] - it["networks"] for it in turn]


def apart(one: dict[str, Any], other: dict[str, Any]) -> float:
    return (one["map"] - other["map"]).abs().max().item()


if __name__ == "__main__":
    main()
