"""Families of stitches by task loss from random, and what scale and recounting do for controls.

From one Fashion-MNIST network to another, and from untrained senders with and without BatchNorm, as
accuracy in %. Representations are made once; no augmentation. One seed: half a point is noise.
"""

import argparse
import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.data.idx import Fashion
from frankenstein.networks.statistics import count_statistics
from frankenstein.stitches import Stitch
from frankenstein.stitching.fraud_stitches import unit_scale
from frankenstein.surgery import cut
from frankenstein.surgery.lighten import fold
from frankenstein.zoo import build_network, load_network

NETWORKS = "model_weights/tiny10/fashion/in{0}-gn{0}.safetensors"
FAMILIES = ("affine", "batchnorm", "conv3x3", "mlp")
BATCH, LR = 128, 3e-3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--layer", default="bn5")
    parser.add_argument("--train", type=int, default=10_000, help="images to train on")
    parser.add_argument("--test", type=int, default=3_000)
    parser.add_argument("-e", "--epochs", type=int, default=3)
    options = parser.parse_args()
    data = Fashion(image_size=32, data_root=options.data_root)
    data.setup()
    images, labels = gathered(data.train_batches(options.train))
    held_out, answers = gathered(data.val_batches(options.test))
    sender, receiver = (load_network(NETWORKS.format(i)).eval() for i in (0, 1))
    torch.manual_seed(0)
    untrained = count_statistics(build_network("tiny10", 10, 1, init_seed=7), images[:1000])
    plain = build_network("nbn_tiny10", 10, 1, init_seed=7).eval()
    halves = cut(receiver, options.layer)
    target = made_of(fold(halves.front), images[:2000])
    print("| sender | units' sd | family | accuracy | recounted |")
    print("| --- | ---: | --- | ---: | ---: |")
    scaled = [("affine", True), ("batchnorm", False)]
    for name, network, layer, families in (
        ("trained", sender, options.layer, [(one, False) for one in FAMILIES]),
        ("untrained", untrained, options.layer, [("affine", False), ("affine", True)]),
        ("untrained, no BatchNorm", plain, "relu5", [("affine", False), *scaled]),
    ):
        front = fold(cut(network, layer).front)
        source, tested = (made_of(front, some) for some in (images, held_out))
        moments = Moments().update(source[:2000], target)
        spread = moments.variance("x").mean().sqrt()
        for family, put in families:
            units = unit_scale(moments).requires_grad_(False) if put else nn.Identity()
            torch.manual_seed(0)
            stitch = STITCHES[family](source.shape[1], target.shape[1]).prepare(moments)
            fit(stitch, units, fold(halves.end), source, labels, options.epochs)
            through = nn.Sequential(units, stitch)
            ends = halves.end, recounted(halves.end, made_of(through, source[:1000]))
            found = [accuracy(nn.Sequential(through, end), tested, answers) for end in ends]
            words = f"{family}, unit scale" if put else family
            print(f"| {name} | {spread:.3f} | {words} | {found[0]:.1f} | {found[1]:.1f} |")


def gathered(batches: object) -> tuple[Tensor, Tensor]:
    """All images and labels."""
    images, labels = zip(*batches, strict=True)  # type: ignore[call-overload]
    return torch.cat(images), torch.cat(labels)


@torch.no_grad()
def made_of(part: nn.Module, images: Tensor) -> Tensor:
    """What it makes of all of them."""
    return torch.cat([part(some) for some in images.split(250)])


def fit(
    stitch: Stitch, units: nn.Module, end: nn.Module, source: Tensor, labels: Tensor, epochs: int
) -> None:
    """Task loss by Adam."""
    end.requires_grad_(False).eval()
    stitch.train()
    optimizer = torch.optim.Adam(stitch.parameters(), LR)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = functional.cross_entropy(end(stitch(units(source[rows]))), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    stitch.eval()


def recounted(end: nn.Module, stitched: Tensor) -> nn.Module:
    """A copy of the end with statistics of what is stitched."""
    return count_statistics(copy.deepcopy(end), stitched)


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    return 100 * float((made_of(network, images).argmax(1) == labels).float().mean())


if __name__ == "__main__":
    main()
