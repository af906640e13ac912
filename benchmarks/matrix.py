"""What a whole matrix of stitches costs over running both networks once: two Tiny-10s, on the CPU.

Within one process, turn by turn: both networks run whole and eagerly over all images that are
solved and scored on (the floor), in batches of several sizes; then every layer of the one is
stitched to every layer of the other, solved and scored. Trained: steps of all stitches that start
at one layer together, and the same stitches one by one, each with its own batches, augmented.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from itertools import islice

import torch
from claims import Claim, at_least, at_most, ratios
from torch import Tensor, nn

from frankenstein.buffers import keep_buffers
from frankenstein.data import Synthetic
from frankenstein.data.seeded import seeded
from frankenstein.stitches import Affine
from frankenstein.stitching.matrix.run import _BATCH
from frankenstein.stitching.matrix.solve import (
    make_stitches,
    measure_pairs,
    pair_moments,
    score_stitches,
    stitching_matrix,
)
from frankenstein.surgery import Joint, join
from frankenstein.surgery.key_layers import key_layers
from frankenstein.surgery.layer_set import layer_set
from frankenstein.tasks import StitchingTogether, task_loss
from frankenstein.tasks.optimizers import make_optimizer
from frankenstein.zoo import load_network

FILES = [f"model_weights/tiny10/fashion/in{i}-gn{i}.safetensors" for i in (0, 1)]
BATCH = _BATCH["cpu"]
STEPS = 6  # of training; what is done once for each layer weighs less in hundreds
Batches = list[tuple[Tensor, Tensor]]
Networks = tuple[nn.Module, nn.Module]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000, help="to solve on, and to score on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time of one thread, for a busy machine"
    )
    options = parser.parse_args()
    keep_buffers()  # as every command does
    clock = time.process_time if options.cpu_time else time.perf_counter
    if options.cpu_time:
        torch.set_num_threads(1)
    networks = load_network(FILES[0]).eval(), load_network(FILES[1]).eval()
    # Random images take as long as others.
    images = torch.randn(2 * options.images, 1, 32, 32)
    labels = torch.arange(len(images)) % 10
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        began = clock()
        work()
        seconds.setdefault(name, []).append(clock() - began)

    solving, scoring = split(options.images)
    data = (
        batched(images[solving], labels[solving], BATCH),
        batched(images[scoring], labels[scoring], BATCH),
    )
    made_up = Synthetic(image_size=32, in_channels=1, train_size=1000)
    made_up.setup()
    for _ in range(options.rounds + 1):
        for size in (BATCH, 128, 250):
            timed(f"floor in batches of {size}", partial(run, networks, images, size))
        timed("matrix", lambda: stitching_matrix(*networks, *data, measures=()))
        for name, work in parts(networks, *data):
            timed(name, work)
        timed("training one by one", lambda: train(networks, made_up, together=False))
        timed("training together", lambda: train(networks, made_up, together=True))
    kept = {name: times[1:] for name, times in seconds.items()}  # the first is for warming up
    print(
        f"{'Processor' if options.cpu_time else 'Wall-clock'} time. " + table(kept, options.images)
    )


def claims() -> list[Claim]:
    """All stitches against both networks' passes, and training them together."""
    keep_buffers()
    networks = load_network(FILES[0]).eval(), load_network(FILES[1]).eval()
    images = torch.randn(4000, 1, 32, 32)
    labels = torch.arange(len(images)) % 10
    solving, scoring = split(2000)
    data = (
        batched(images[solving], labels[solving], BATCH),
        batched(images[scoring], labels[scoring], BATCH),
    )
    made_up = Synthetic(image_size=32, in_channels=1, train_size=1000)
    made_up.setup()
    ways: dict[str, Callable[[], object]] = {
        "floor": partial(run, networks, images, BATCH),
        "matrix": lambda: stitching_matrix(*networks, *data, measures=()),
        "one by one": lambda: train(networks, made_up, together=False),
        "together": lambda: train(networks, made_up, together=True),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(4):
        for way, work in ways.items():
            began = time.perf_counter()
            work()
            if turn:  # the first is for warming up
                seconds[way].append(time.perf_counter() - began)
    stitches = "8 x 8 stitches of two Tiny-10s"
    return [
        at_most(
            f"{stitches} solved and scored, over both networks' passes",
            ratios(seconds["matrix"], seconds["floor"]),
            7,
        ),
        at_least(
            f"{stitches} trained one by one, over together",
            ratios(seconds["one by one"], seconds["together"]),
            1.5,
        ),
    ]


def split(images: int) -> tuple[slice, slice]:
    return slice(0, images), slice(images, 2 * images)


def batched(images: Tensor, labels: Tensor, size: int) -> Batches:
    return list(zip(images.split(size), labels.split(size), strict=True))


@torch.inference_mode()
def run(networks: Networks, images: Tensor, size: int) -> None:
    for batch in images.split(size):
        for network in networks:
            network(batch)


def parts(
    networks: Networks, solving: Batches, scoring: Batches
) -> list[tuple[str, Callable[[], object]]]:
    """The steps of `stitching_matrix` one by one."""
    sets = layer_set(networks[0]).folded(), layer_set(networks[1]).folded()
    moments = pair_moments(*sets, solving[:1])
    stitches, _ = make_stitches(*sets, moments, Affine)

    def solve() -> None:
        for pair, stitch in stitches.items():
            stitch.solve(moments.moments(*pair))

    @torch.inference_mode()
    def run_ends() -> None:
        """What no way around is known: 64 different inputs of the ends, ready to be answered."""
        for images, _ in scoring:
            targets = sets[1].read(images)
            for _ in sets[0].names:
                for t in sets[1].names:
                    sets[1].ends[t](targets[t])

    return [
        ("- cutting and folding", lambda: [layer_set(network).folded() for network in networks]),
        ("- moments of all pairs", lambda: pair_moments(*sets, solving)),
        ("- solving", solve),
        ("- the ends of 64 stitches and nothing else", run_ends),
        ("- scoring", lambda: score_stitches(*sets, moments, stitches, scoring)),
        ("- linear CKA of all pairs", lambda: measure_pairs(moments, stitches, ["linear_cka"])),
    ]


def train(networks: Networks, data: Synthetic, together: bool) -> None:
    """A few steps of stitches from every layer to every layer, as `stitch.py --all` takes them."""
    layers = key_layers(networks[0])
    for s in layers:
        joints = {t: join_once(networks, s, t) for t in layers}
        stitches = {t: Affine(it.source.units, it.target.units) for t, it in joints.items()}
        optimizers = {
            t: make_optimizer("adam", it.parameters(), 1e-3, 0.0) for t, it in stitches.items()
        }
        shared = StitchingTogether(
            joints[layers[0]].sender,
            {t: joint.receiver for t, joint in joints.items()},
            {t: joint.align for t, joint in joints.items()},
            stitches,
            nn.Identity(),
        )
        for group in [layers] if together else [(t,) for t in layers]:
            for step, (images, labels) in enumerate(islice(data.shuffled_batches(), STEPS)):
                seen = data.prepare(data.augment(images, seeded(0, 1, step, 0)))
                for t, now in shared.passes((seen, labels)):
                    if t in group:
                        loss = task_loss(now)
                        optimizers[t].zero_grad()
                        loss.backward()
                        optimizers[t].step()


_JOINTS: dict[tuple[str, str], Joint] = {}


def join_once(networks: Networks, s: str, t: str) -> Joint:
    if (s, t) not in _JOINTS:
        sender, receiver = (network.requires_grad_(False) for network in networks)
        _JOINTS[s, t] = join(sender, receiver, s, t)
    return _JOINTS[s, t]


def table(seconds: dict[str, list[float]], images: int) -> str:
    floors = [name for name in seconds if name.startswith("floor")]
    lines = [
        f"Two Tiny-10s, 8 x 8 layers, affine stitches, {images} images to solve on and {images} to "
        f"score on, in batches of {BATCH}: median of {len(seconds['matrix'])} rounds; "
        f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}.",
        "",
        f"| work | seconds | {' | '.join(f'over the {name}' for name in floors)} |",
        f"| --- | ---: |{' ---: |' * len(floors)}",
    ]
    for name, times in seconds.items():
        ratios = [
            statistics.median(a / b for a, b in zip(times, seconds[floor], strict=True))
            for floor in floors
        ]
        shown = " | ".join("" if "training" in name else f"{ratio:.2f}x" for ratio in ratios)
        lines.append(f"| {name} | {statistics.median(times):.2f} | {shown} |")
    alone, together = seconds["training one by one"], seconds["training together"]
    pays = [a / b for a, b in zip(alone, together, strict=True)]
    lines += [
        "",
        f"Training together pays {statistics.median(pays):.2f}x ({min(pays):.2f} to "
        f"{max(pays):.2f}) over one by one.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
