"""What a compare of many networks costs over running each of them once: ten Tiny-10s.

    python benchmarks/networks.py                 # four minutes on two idle cores
    python benchmarks/networks.py --networks 3 --rounds 1     # to see whether it works

Turn by turn in one process: all networks run whole over 10,000 images, each once (the floor); then
one layer a block of every two of them is compared, as `compare` does if nothing else is said. How
often each network runs is counted, too. What the pairs cost does not grow with images: over a few
hundred small ones, which run in no time, it is most of the work.
"""

import argparse
import time
from collections.abc import Callable

import torch
from claims import Claim, at_most, ratios
from torch import nn

from frankenstein.buffers import keep_buffers
from frankenstein.similarity import similarity_between
from frankenstein.surgery.blocks import block_layers
from frankenstein.zoo import build_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    plain, compared = measure(options.networks, options.rounds)
    for name, turns in {"plain forward passes": plain, "compare": compared}.items():
        print(f"{options.networks} networks, {name}: {1000 * min(turns):.0f} ms at best")
    print(f"ratios of the rounds: {', '.join(f'{one:.2f}' for one in ratios(compared, plain))}")
    print(f"runs of a network on an image: {forward_passes(options.networks):.2f}")


def claims() -> list[Claim]:
    """A compare of ten networks against ten plain forward passes."""
    plain, compared = measure(10, 3)
    return [
        at_most(
            "compare of 10 Tiny-10s, a layer a block, over 10 forward passes",
            ratios(compared, plain),
            1.3,
        ),
        at_most(
            "compare of 10 Tiny-10s: times that a network runs an image", forward_passes(10), 1.3
        ),
    ]


def forward_passes(count: int) -> float:
    """How often each network runs on an image in a comparison, over once for each image."""
    networks, batches = given(count)
    seen = []
    for network in networks:
        # Each run begins there.
        network.conv1.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    similarity_between(networks, batches, layers=[*block_layers(networks[0])])
    return sum(seen) / (len(networks) * sum(map(len, batches)))


def measure(count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each round: plain forward passes of so many networks, and their comparison."""
    networks, batches = given(count)
    layers = [*block_layers(networks[0])]
    plain, compared = [], []
    for turn in range(rounds + 1):
        one = timed(lambda: run_all(networks, batches))
        other = timed(lambda: similarity_between(networks, batches, layers=layers))
        if turn:  # the first warms up
            plain.append(one)
            compared.append(other)
    return plain, compared


def given(count: int) -> tuple[list[nn.Module], list[torch.Tensor]]:
    """So many networks, and the batches that they are compared on."""
    keep_buffers()  # as every command does
    torch.set_num_threads(1)
    networks = [build_network("tiny10", 10, 1, seed, 32).eval() for seed in range(count)]
    generator = torch.Generator().manual_seed(0)
    return networks, [*torch.randn(10_000, 1, 32, 32, generator=generator).split(250)]


@torch.no_grad()
def run_all(networks: list[nn.Module], batches: list[torch.Tensor]) -> None:
    for network in networks:
        for images in batches:
            network(images)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
