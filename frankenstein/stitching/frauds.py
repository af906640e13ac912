"""Senders that know nothing of the images but look as if they did: what fools a stitch.

Each stands where the sender stands, and whatever accuracy a stitch from it reaches is no sign that
a sender has learned anything like the receiver:

- "class_noise": at the sender's cut, a random pattern for each class, and as much noise. It knows
  the class, and nothing else.
- "marker": the sender's architecture, trained on images with a bright square whose place tells the
  class, and shown such images here.
- "random_labels": the same architecture trained on the images with random labels.
- "other_data": the same trained on digits (on made-up images, where digits are the data).
- "pixels": the image itself, at the grid of the cut.

Source: the question is that of Smith, Mannering & Marcu 2025; Balogh & Jelasity 2025,
https://arxiv.org/abs/2412.11299.
"""

from collections.abc import Callable
from hashlib import blake2b

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.data import ImageData
from frankenstein.data.own import OwnData
from frankenstein.data.seeded import seeded
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.networks.frauds import LEARNED, SEED, Change, learned_fraud
from frankenstein.stitching.pair import StitchingPair
from frankenstein.stitching.plan import WITHOUT_ANSWERS, StitchPlan
from frankenstein.surgery import join

Fraud = Callable[[Tensor, Tensor], Tensor]  # images and labels to a source, laid like the target

FRAUDS = ("class_noise", *LEARNED, "pixels")
KNOWING = ("class_noise", "marker")  # those that are told the labels of the images they are shown


def frauds_for(
    plan: StitchPlan, pair: StitchingPair, data: ImageData, device: torch.device
) -> dict[str, Fraud]:
    """All frauds in the place of a pair's sender, made once for a data set and kept in the cache.

    "pixels" is absent where the target has tokens.

    Raises:
        UserError: as `check_frauds`, or if the sender cannot be had with random weights.
    """
    check_frauds(data)
    look = pair.looks[0]
    some, _ = next(iter(data.train_batches(1)))
    shape = pair.joint.sender.front(some[:1].to(device)).shape[1:]
    noise = OwnNoise(data.num_classes, shape, pair.joint.align)
    frauds: dict[str, Fraud] = {"class_noise": noise}
    for name in LEARNED:
        network, change = learned_fraud(name, pair.sender, look, data, device)
        joint = join(network, pair.receiver.module, *plan.layers, plan.flatten).seeing(look, None)
        front = nn.Sequential(joint.sender.front, joint.align).to(device)
        frauds[name] = SeenFraud(front, change)
    if (grid := _grid_of(pair)) is not None:
        frauds["pixels"] = lambda images, labels: _pooled(images, grid)
    return frauds


def check_frauds(data: ImageData) -> None:
    """Refuse data of which no frauds can be made.

    Raises:
        UserError: where images have several labels or sizes, or are none of the catalog.
    """
    if why := _why_none(data):
        raise UserError(f"the controls that expose a fraud {why}")


def _why_none(data: ImageData) -> str:
    if isinstance(data, Text):
        return f"are made of images, and {data.name} gives {data.called}; leave out ‹controls›"
    if data.multilabel or not data.classed:
        return (
            f"know the one class of an image, and images of {data.name} have several labels or "
            "none; leave out ‹controls›"
        )
    if isinstance(data, OwnData) and len(data.seen_shape) != 3:
        return (
            f"are made of images (C, H, W), and an example of {data.name} is something else; leave "
            "out ‹controls›"
        )
    if len(data.seen_shape) != 3:
        return (
            "change images of one size, and these two networks read files in sizes of their own; "
            "give both one ‹size›, or leave out ‹controls›"
        )
    return ""


def trained_control(plan: StitchPlan, data: ImageData) -> str:
    """How a trained control is had, for a run without: an advice that its data can follow."""
    if plan.target_type in WITHOUT_ANSWERS and not _why_none(data):
        return "stitch with ‹controls› all, which trains it"
    return (
        "‹controls› all has none here, so stitch from a sender with random weights, NAME#SEED, and "
        "hold this against it"
    )


class ClassNoise:
    """A random pattern for each class with as much noise: knows the class and nothing else.

    Noise is drawn anew for every batch, in the order in which they come.
    """

    def __init__(self, classes: int, shape: torch.Size, align: nn.Module) -> None:
        self.patterns = torch.randn(classes, *shape, generator=seeded(SEED, 0))
        self.draw, self.align = seeded(SEED, 1), align

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """A source for images of these classes."""
        patterns = self.patterns[labels.cpu()]
        noise = self.noise(images, patterns.shape)
        return self.align((patterns + noise).to(labels.device))

    def noise(self, images: Tensor, shape: torch.Size) -> Tensor:
        """As much as there are images."""
        return torch.randn(shape, generator=self.draw)


class OwnNoise(ClassNoise):
    """Class noise that every image has its own of, as of a sender: whatever batch it comes in."""

    def noise(self, images: Tensor, shape: torch.Size) -> Tensor:
        """Drawn by what each image is."""
        pixels = images.cpu().flatten(1).contiguous().view(torch.uint8).numpy()
        seeds = (int.from_bytes(blake2b(one, digest_size=8).digest()) for one in pixels)
        drawn = [torch.randn(shape[1:], generator=seeded(SEED, 1, seed)) for seed in seeds]
        return torch.stack(drawn) if drawn else torch.empty(shape)


class SeenFraud:
    """What a network makes of images that are changed by their labels first."""

    def __init__(self, front: nn.Module, change: Change) -> None:
        self.front, self.change = front, change

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """A source for images of these classes."""
        return self.front(self.change(images, labels))


def _grid_of(pair: StitchingPair) -> tuple[int, ...] | None:
    """The grid that pixels are brought to; None where the target has tokens."""
    target = pair.joint.target
    return None if target.kind == "tokens" else target.grid


def _pooled(images: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Means of pixels over the cells of a grid; of a vector's 8 x 8 cells, side by side."""
    if not grid:
        return functional.adaptive_avg_pool2d(images, 8).flatten(1)
    return functional.adaptive_avg_pool2d(images, (grid[0], grid[1]))
