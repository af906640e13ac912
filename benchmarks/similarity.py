"""What a layer x layer CKA matrix costs over running both networks, beside public packages.

Two ResNet-18s of torchvision with random weights, one thread. The floor is their forward passes
over the same images; everything takes turns within one process. Errors are against float64 Gram
matrices of the same activations. Peers are the packages of the optional extra `bench`; those that
are not installed are left out. `--memory` and `--spread` measure two other claims instead.
"""

import argparse
import contextlib
import copy
import io
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from frankenstein.accumulators.grams import Grams
from frankenstein.data import DataError, Fashion
from frankenstein.similarity import similarity_matrix
from frankenstein.surgery import capture

PEERS = ("pytorch-cka", "cka-pytorch", "torch-cka", "simtorch")
BLOCKS = (32, 64, 128, 250, 500)
Loader = DataLoader | list[Tensor]
Way = Callable[[], Tensor | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data", help="folder that holds FashionMNIST/raw")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=250)
    parser.add_argument("--layers", type=int, nargs="+", default=[20, 40, 60])
    parser.add_argument("--blocks", type=int, nargs="+", default=[64, 128], help="the first leads")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cpu-time", action="store_true", help="for a busy machine")
    parser.add_argument("--memory", action="store_true", help="peak memory by number of images")
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--spread", action="store_true", help="of the estimate, by block")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # of peers
    networks = [torchvision.models.resnet18().eval() for _ in range(2)]
    if options.memory_of:
        print(peak(networks, options.memory_of))
    elif options.memory:
        memory()
    elif options.spread:
        spread(networks, load(options.data_root, 10_000, 32))
    else:
        images = load(options.data_root, options.images, options.image_size)
        costs(networks, images, options)


def load(data_root: str, count: int, size: int) -> Tensor:  # (N, 3, H, W)
    data = Fashion(image_size=size, data_root=data_root)
    try:
        data.setup()
    except DataError as error:
        print(f"{error}\ntaking random images instead\n")
        return torch.randn(count, 3, size, size)
    return data.prepare(data.val_images[:count]).expand(-1, 3, -1, -1).contiguous()


def layer_names(network: nn.Module, count: int) -> list[str]:
    """20 convolutions, 20 BatchNorms behind them, 17 ReLUs and what is left, in that order."""
    kinds = [
        [name for name, module in network.named_modules() if isinstance(module, kind)]
        for kind in (nn.Conv2d, nn.BatchNorm2d)
    ]
    blocks = [f"layer{i}.{j}.relu{k}" for i in range(1, 5) for j in (0, 1) for k in ("", "_1")]
    return [*kinds[0], *kinds[1], "relu", *blocks, "maxpool", "avgpool", "fc"][:count]


def costs(networks: list[nn.Module], images: Tensor, options: argparse.Namespace) -> None:
    clock = time.process_time if options.cpu_time else time.perf_counter
    labels = torch.zeros(len(images))
    loader = DataLoader(TensorDataset(images, labels), batch_size=options.batch_size)
    print(
        f"{'Processor' if options.cpu_time else 'Wall-clock'} time. Two ResNet-18s, "
        f"{len(images):,} images of {options.image_size}x{options.image_size} in batches of "
        f"{options.batch_size}: median of {options.rounds} rounds; {platform.machine()}, "
        f"{os.cpu_count()} cores, 1 thread, Python {platform.python_version()}, "
        f"torch {torch.__version__}.\n"
    )
    print("| layers | way | seconds | over the floor | largest error |")
    print("| ---: | --- | ---: | ---: | ---: |")
    for count in options.layers:
        names = layer_names(networks[0], count)
        few = DataLoader(TensorDataset(images[:64], labels[:64]), batch_size=64)
        ours(networks, few, names, 64)  # for what is recorded at first
        ways: dict[str, Way] = {"floor": lambda: floor(networks, loader)}
        for block in options.blocks:
            ways[f"frankenstein, blocks of {block}"] = lambda names=names, block=block: ours(
                networks, loader, names, block
            )
        # Hooks have no names for the second call of a ReLU.
        for peer in options.peers if count <= 40 else ():
            with contextlib.suppress(PackageNotFoundError):
                ways[f"{peer} {version(peer)}"] = lambda names=names, peer=peer: PEER_CALLS[peer](
                    networks, loader, names
                )
        seconds, values = take_turns(ways, options.rounds, clock)
        spans = {way: block_of(way, options.batch_size) for way in ways}
        truths = references(networks, images, names, set(spans.values()))
        for way, times in seconds.items():
            ratios = [a / b for a, b in zip(times, seconds["floor"], strict=True)]
            found = values[way]
            error = "" if found is None else f"{(found - truths[spans[way]]).abs().max():.1e}"
            print(
                f"| {count} | {way} | {statistics.median(times):.2f} "
                f"| {statistics.median(ratios):.2f}x | {error} |",
                flush=True,
            )
    missing = [peer for peer in options.peers if not installed(peer)]
    if missing:
        print(f"\nNot installed, and left out: {', '.join(missing)} (pip install '.[bench]').")


def take_turns(
    ways: dict[str, Way], rounds: int, clock: Callable[[], float]
) -> tuple[dict[str, list[float]], dict[str, Tensor | None]]:
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    values: dict[str, Tensor | None] = {}
    next(iter(ways.values()))()  # for warming up
    for _ in range(rounds):
        for way, run in ways.items():
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                began = clock()
                values[way] = run()
                seconds[way].append(clock() - began)
    return seconds, values


@torch.no_grad()
def floor(networks: list[nn.Module], loader: Loader) -> None:
    for images, _ in loader:
        for network in networks:
            network(images)


def ours(networks: list[nn.Module], loader: Loader, names: list[str], block: int) -> Tensor:
    return similarity_matrix(*networks, loader, "unbiased_cka", names, names, block=block).values


@torch.no_grad()
def pytorch_cka(networks: list[nn.Module], loader: Loader, names: list[str]) -> Tensor:
    from cka import compute_cka

    return compute_cka(*networks, loader, layers=names, device="cpu", progress=False)[0].double()


@torch.no_grad()
def cka_pytorch(networks: list[nn.Module], loader: Loader, names: list[str]) -> Tensor:
    from cka_pytorch import CKACalculator

    one = CKACalculator(*networks, names, names, verbose=False)
    values = one.calculate_cka_matrix(loader, num_epochs=1).double()
    one.reset()
    order = [one.hook_manager1.module_names.index(name) for name in names]
    return values[order][:, order]


@torch.no_grad()
def torch_cka(networks: list[nn.Module], loader: Loader, names: list[str]) -> Tensor:
    from torch_cka import CKA

    networks = copy.deepcopy(networks)  # its hooks stay
    one = CKA(*networks, "a", "b", model1_layers=names, model2_layers=names)
    one.compare(loader, loader)
    order = [one.model1_info["Layers"].index(name) for name in names]
    return one.hsic_matrix.double()[order][:, order]


@torch.no_grad()
def simtorch(networks: list[nn.Module], loader: Loader, names: list[str]) -> Tensor:
    from simtorch.model import SimilarityModel
    from simtorch.similarity import CKA

    sides = [
        SimilarityModel(network, layers_to_include=names) for network in copy.deepcopy(networks)
    ]
    values = torch.tensor(CKA(*sides).compute(loader))
    order = [list(sides[0].model_activations).index(name) for name in names]
    return values[order][:, order]


PEER_CALLS = {
    "pytorch-cka": pytorch_cka,
    "cka-pytorch": cka_pytorch,
    "torch-cka": torch_cka,
    "simtorch": simtorch,
}


def installed(peer: str) -> bool:
    try:
        return bool(version(peer))
    except PackageNotFoundError:
        return False


def block_of(way: str, batch_size: int) -> int:
    return int(way.split()[-1]) if way.startswith("frankenstein") else batch_size


@torch.no_grad()
def references(
    networks: list[nn.Module], images: Tensor, names: list[str], blocks: set[int]
) -> dict[int, Tensor]:  # (L, L) by block
    """Song et al. 2012, eq. 5, with float64 Gram matrices, summed over blocks before the ratio."""
    readers = [capture(network, names) for network in networks]
    truths = {}
    for block in blocks:
        total: Tensor | float = 0.0
        for part in images.split(block):
            grams = torch.stack(
                [gram(z[name]) for z in (reader(part) for reader in readers) for name in names]
            )
            total = total + hsic(grams)
        own = total.diagonal().sqrt()
        truths[block] = (total / torch.outer(own, own))[: len(names), len(names) :]
    return truths


def gram(z: Tensor) -> Tensor:
    rows = z.flatten(1).double()
    rows = rows - rows.mean(0)
    return (rows @ rows.T).fill_diagonal_(0)


def hsic(grams: Tensor) -> Tensor:  # (L, L), times n (n - 3)
    n = grams.shape[1]
    cells, rows, whole = grams.flatten(1), grams.sum(2), grams.sum((1, 2))
    return (
        cells @ cells.T
        + torch.outer(whole, whole) / ((n - 1) * (n - 2))
        - (2 / (n - 2) * rows @ rows.T)
    )


def memory() -> None:
    print("| images | peak memory, MB |\n| ---: | ---: |")
    for images in (1_000, 60_000):
        command = [sys.executable, __file__, "--memory-of", str(images)]
        print(f"| {images:,} | {subprocess.check_output(command, text=True).strip()} |", flush=True)


def peak(networks: list[nn.Module], images: int) -> str:
    """Megabytes at most, of images made on the way."""

    def batches() -> Iterator[Tensor]:
        for _ in range(images // 250):
            yield torch.randn(250, 3, 16, 16)

    names = layer_names(networks[0], 20)
    similarity_matrix(*networks, batches(), sender_layers=names, receiver_layers=names)
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}"


@torch.no_grad()
def spread(networks: list[nn.Module], images: Tensor, draws: int = 40, size: int = 1000) -> None:
    """Standard deviation of the estimate over random sets of images, each in random order."""
    names = ["layer1.1.conv2", "layer3.1.conv2"]
    readers = [capture(network, names) for network in networks]
    layers = [
        {name: torch.cat([reader(part)[name] for part in images.split(250)]) for name in names}
        for reader in readers
    ]
    print(f"{draws} sets of {size:,} out of {len(images):,} images.\n")
    pairs = [f"{a} with {b}" for a in names for b in names]
    print(f"| block | {' | '.join(pairs)} |\n| ---: |{' ---: |' * len(pairs)}")
    chosen = [torch.randperm(len(images))[:size] for _ in range(draws)]
    for block in (*BLOCKS, size):
        found = torch.stack(
            [
                Grams(block)
                .update(*({name: z[some] for name, z in side.items()} for side in layers))
                .unbiased_cka()
                for some in chosen
            ]
        ).flatten(1)
        cells = [f"{a:.4f} ± {b:.4f}" for a, b in zip(found.mean(0), found.std(0), strict=True)]
        print(f"| {block} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
