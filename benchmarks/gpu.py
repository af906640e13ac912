"""What is claimed on a GPU, in one command of under 8 minutes.

The tests marked `gpu`; a layer x layer matrix against both networks' forward passes; what the
callback's sums add to a validation; a step of a stitch, halves against whole networks; the peak of
the device's memory. Loops run under `torch.cuda.set_sync_debug_mode("error")`: what makes the host
wait for the device is an error there. Last, sums in float32 by blocks that are added up in float64,
beside sums in float64: time on the device, and error against float64 on the CPU.

`--device cpu --small` goes through all of it without a GPU, as far as a CPU can: its times say
nothing.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import torchvision
from claims import Claim, at_most
from large import made
from similarity import references
from stitching_step import BATCH, BATCHES, HALVES, WHOLE, ways
from torch import Tensor, nn

from frankenstein.accumulators.grams import Grams
from frankenstein.accumulators.moments import Moments
from frankenstein.measures import LayerSimilarities
from frankenstein.surgery.read import reading
from frankenstein.zoo import build_network

ROUNDS, BLOCK = 5, 256
Rows = list[tuple[str, float, str]]  # what, number, unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a look at the script, not a table")
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "a CPU: no times"
    print(f"{name}, torch {torch.__version__}\n\n| what | number |\n| --- | ---: |")
    if device.type == "cuda":
        print(f"| tests marked gpu | {gpu_tests()} |", flush=True)
    parts: list[Callable[[torch.device, bool], Rows]] = [matrix, callback, step, precision]
    for part in parts:
        for what, number, unit in part(device, options.small):
            print(f"| {what} | {number:.3g}{unit} |", flush=True)


def claims() -> list[Claim]:
    """The matrix, where there is a GPU; no row without one."""
    if not torch.cuda.is_available():
        return []
    (_, ratio, _), (_, error, _), *_ = matrix(torch.device("cuda"), False)
    title = "on a GPU, unbiased CKA of ResNet-50, 33 layers"
    return [
        at_most(f"{title}: over the passes", ratio, 1.15),
        at_most(f"{title}: error", error, 1e-5, ""),
    ]


def gpu_tests() -> str:
    words = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"]
    done = subprocess.run(words, capture_output=True, text=True)
    return (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1].strip("= ")


@contextlib.contextmanager
def never_waiting(device: torch.device) -> Iterator[None]:
    """Inside, whatever waits for the device is an error."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Seconds, until the device is done: the median of some turns after one."""
    seconds = []
    for _ in range(ROUNDS + 1):
        wait(device)
        began = time.perf_counter()
        with never_waiting(device):
            work()
        wait(device)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[1:])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


@torch.no_grad()
def matrix(device: torch.device, small: bool) -> Rows:
    """Two ResNet-50s, each layer folded into its Gram matrix when it is there."""
    networks, names, size = made("resnet50")
    names, size, count = (names[:3], 32, 8) if small else (names, size, 512)
    images = torch.randn(count, 3, size, size)
    batches = images.to(device).split(64)
    networks = [network.to(device) for network in networks]
    grams: list[Grams] = []

    with reading(networks[0], names) as ours, reading(networks[1], names) as theirs:

        def compare() -> None:
            grams[:] = [Grams(64)]
            for batch in batches:
                x = ours(batch, partial(grams[0].fold, "x"))
                grams[0].add(x, theirs(batch, partial(grams[0].fold, "y")))

        def run() -> None:
            for batch in batches:
                for network in networks:
                    network(batch)

        compare()  # what is proved on the first batch waits for the device
        passes, passes_peak = timed(device, run), peak_of(device, run)
        own, own_peak = timed(device, compare), peak_of(device, compare)
    values = grams[0].unbiased_cka().cpu()
    truth = references([one.cpu() for one in networks], images, names, {64})[64]
    return [
        (f"matrix of {len(names)} x {len(names)} layers, over the passes", own / passes, "x"),
        ("- largest error", float((values - truth).abs().max()), ""),
        ("- memory above the passes", (own_peak - passes_peak) / 1e6, " MB"),
    ]


def peak_of(device: torch.device, work: Callable[[], object]) -> float:
    """The most bytes of the device that the work holds; 0 without a GPU."""
    if device.type != "cuda":
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    work()
    return float(torch.cuda.max_memory_allocated())


@torch.no_grad()
def callback(device: torch.device, small: bool) -> Rows:
    """What sums of a batch add to the passes that give it: those of `RepresentationSimilarity`."""
    networks = [torchvision.models.resnet18().eval().to(device) for _ in range(2)]
    fronts = [nn.Sequential(*list(network.children())[:6]) for network in networks]
    batches = torch.randn(*((2, 4) if small else (8, 128)), 3, 64, 64, device=device)
    measures = ["unbiased_cka", "mean_cca"]

    def passes(sums: LayerSimilarities | None = None) -> None:
        for batch in batches:
            x, y = (front(batch) for front in fronts)
            for network in networks:
                network(batch)
            if sums is not None:
                sums.update({"stitched": x}, {"target": y})

    def with_sums() -> None:
        passes(LayerSimilarities(measures, None, None, one_grid=True, shared_up_to=0))

    alone, both = timed(device, passes), timed(device, with_sums)
    return [("validation with the callback's sums, over one without", both / alone, "x")]


def step(device: torch.device, small: bool) -> Rows:
    """Steps of one stitch, after bn3 of two Tiny-10s."""
    networks = [build_network("tiny10", init_seed=seed).eval().to(device) for seed in (0, 1)]
    count = BATCH * (1 if small else BATCHES)
    images, labels = torch.randn(count, 1, 32, 32, device=device), torch.arange(count) % 10
    steps, _ = ways(*networks, "bn3", images, labels.to(device))
    numbers = torch.arange(count, device=device).split(BATCH)
    seconds = {
        way: timed(device, lambda way=way: [steps[way](rows) for rows in numbers])
        for way in (WHOLE, HALVES)
    }
    each = 1000 * seconds[HALVES] / len(numbers)
    return [
        ("step of a stitch by halves", each, " ms"),
        ("- whole networks with hooks take", seconds[WHOLE] / seconds[HALVES], "x"),
    ]


@torch.no_grad()
def precision(device: torch.device, small: bool) -> Rows:
    """Sums over rows in float64, and in float32 by blocks that are added up in float64."""
    n, d = (2_000, 64) if small else (100_000, 512)
    x = torch.randn(n, d) @ (torch.eye(d) + torch.randn(d, d) / d**0.5) * torch.logspace(0, -3, d)
    truth = Moments().update(x, x).covariance("xx")
    here = x.to(device)

    def double() -> Tensor:
        rows = here.double() - here.double().mean(0)
        return rows.T @ rows / n

    def single() -> Tensor:
        rows = (here.double() - here.double().mean(0)).float()
        return sum((part.T @ part).double() for part in rows.split(BLOCK)) / n

    rows: Rows = []
    for name, way in (("float64", double), (f"float32 by blocks of {BLOCK}", single)):
        found = way().cpu()
        size = truth.diagonal().sqrt()
        error = float(((found - truth) / torch.outer(size, size)).abs().max())
        solved = (torch.linalg.solve(found, truth) - torch.eye(d)).abs().max()
        rows += [
            (f"covariance of {n:,} x {d} in {name}", 1000 * timed(device, way), " ms"),
            ("- largest error of a correlation", error, ""),
            ("- largest error of a map that is solved from it", float(solved), ""),
        ]
    return rows


if __name__ == "__main__":
    main()
