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

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.data.own import OwnData
from frankenstein.data.seeded import seeded
from frankenstein.data.text import Text
from frankenstein.errors import UserError
from frankenstein.files import FileError, load_tensors, save_tensors
from frankenstein.stitching.pair import StitchingPair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.surgery import join

Fraud = Callable[[Tensor, Tensor], Tensor]  # images and labels to a source, laid like the target
Batches = Iterator[tuple[Tensor, Tensor]]

FRAUDS = ("class_noise", "marker", "random_labels", "other_data", "pixels")
_SEED = 2_000_003
_STEPS, _LR = 300, 1e-3  # of the networks that are trained: enough to learn what they can
_BRIGHT = 3.0  # of a marker, in standard deviations of pixels


def frauds_for(
    plan: StitchPlan, pair: StitchingPair, data: ImageData, device: torch.device
) -> dict[str, Fraud]:
    """All frauds in the place of a pair's sender, made once for a data set and kept in the cache.

    "pixels" is absent where the target has tokens.

    Raises:
        UserError: as `check_frauds`, or if the sender cannot be had with random weights.
    """
    check_frauds(data)
    look = pair.looks[0] or nn.Identity()
    some, _ = next(iter(data.train_batches(1)))
    shape = pair.joint.sender.front(some[:1].to(device)).shape[1:]
    classes = data.num_classes
    changes: dict[str, Fraud] = {"marker": lambda x, y: marked(x, y, classes)}
    courses: Mapping[str, Callable[[], Batches]] = {
        "marker": lambda: ((marked(x, y, classes), y) for x, y in _batches(data)),
        "random_labels": lambda: _relabelled(data),
        "other_data": lambda: _others(data, some),
    }
    frauds: dict[str, Fraud] = {"class_noise": ClassNoise(classes, shape, pair.joint.align)}
    for name, course in courses.items():
        network = pair.sender.random(_SEED).to(device)
        _learn_once(network, look, course, _key(name, network, data))
        joint = join(network, pair.receiver.module, *plan.layers, plan.flatten)
        front = nn.Sequential(look, joint.sender.front, joint.align).to(device)
        frauds[name] = _Seen(front, changes.get(name, _as_it_is))
    if (grid := _grid_of(pair)) is not None:
        frauds["pixels"] = lambda images, labels: _pooled(images, grid)
    return {name: frauds[name] for name in FRAUDS if name in frauds}


def check_frauds(data: ImageData) -> None:
    """Refuse data of which no frauds can be made.

    Raises:
        UserError: where images have several labels, or there are no images of the catalog.
    """
    if isinstance(data, OwnData | Text):
        raise UserError(
            "the controls that expose a fraud are made of a data set of images by name, and "
            f"{data.name} gives {data.called}; leave out ‹controls›"
        )
    if data.multilabel:
        raise UserError("the controls that expose a fraud know the one class of an image")


def marked(
    images: Tensor,  # (N, C, H, W), prepared
    labels: Tensor,  # (N,)
    classes: int,
) -> Tensor:
    """Copies with a bright square, an eighth of the width, in the class's cell of a grid.

    >>> marked(torch.zeros(2, 1, 8, 8), torch.tensor([0, 3]), 4)[:, 0].sum(2).argmax(1)
    tensor([0, 4])
    """
    cells = math.ceil(math.sqrt(classes))
    height, width = images.shape[-2:]
    size = max(1, width // 8)
    tops = (labels // cells * height // cells).tolist()
    lefts = (labels % cells * width // cells).tolist()
    images = images.clone()
    for image, top, left in zip(images, tops, lefts, strict=True):
        image[:, top : top + size, left : left + size] = _BRIGHT
    return images


class ClassNoise:
    """A random pattern for each class with as much noise: knows the class and nothing else.

    Noise is drawn anew for every batch, in the order in which they come.
    """

    def __init__(self, classes: int, shape: torch.Size, align: nn.Module) -> None:
        self.patterns = torch.randn(classes, *shape, generator=seeded(_SEED, 0))
        self.draw, self.align = seeded(_SEED, 1), align

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """A source for images of these classes."""
        patterns = self.patterns[labels.cpu()]
        noise = torch.randn(patterns.shape, generator=self.draw)
        return self.align((patterns + noise).to(labels.device))


class _Seen:
    """What a network makes of images that are changed by their labels first."""

    def __init__(self, front: nn.Module, change: Fraud) -> None:
        self.front, self.change = front, change

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.front(self.change(images, labels))


def _as_it_is(images: Tensor, labels: Tensor) -> Tensor:
    return images


def _batches(data: ImageData) -> Batches:
    """Prepared training batches, again and again."""
    while True:
        for images, labels in data.shuffled_batches():
            yield data.prepare(images), labels


def _relabelled(data: ImageData) -> Batches:
    """Every training image with a label that has nothing to do with it, the same each time."""
    given = torch.randint(data.num_classes, (len(data.train_labels),), generator=seeded(_SEED, 2))
    while True:
        batches = data.shuffled_batches()
        for rows in batches.order(batches.epoch):
            yield data.prepare(batches.images[rows]), given[rows]


def _others(data: ImageData, like: Tensor) -> Batches:
    """Batches of another data set, in the shape of this one's images."""
    name = "synthetic" if data.name == "digits" else "digits"
    size, channels = like.shape[-1], like.shape[1]
    other = DATASETS[name](image_size=size, batch_size=data.batch_size)
    other.setup()
    for images, labels in _batches(other):
        images = images.mean(1, keepdim=True) if channels == 1 else images
        yield images.expand(-1, channels, -1, -1), labels % data.num_classes


def _learn_once(
    network: nn.Module, look: nn.Module, course: Callable[[], Batches], file: Path
) -> None:
    """Take the weights of the cache, else train them and keep them there."""
    with suppress(FileError, RuntimeError):
        tensors, _ = load_tensors(file)
        network.load_state_dict(tensors)
        return
    device = next(network.parameters()).device
    with torch.enable_grad():
        network.requires_grad_(True).train()
        optimizer = torch.optim.Adam(network.parameters(), _LR)
        for images, labels in islice(course(), _STEPS):
            logits = network(look(images.to(device)))
            loss = functional.cross_entropy(logits, labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.requires_grad_(False).eval()
    with suppress(FileError, OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        save_tensors(file, network.state_dict(), {"kind": "fraud"})


def _key(kind: str, network: nn.Module, data: ImageData) -> Path:
    """Where the cache has a fraud of this kind, architecture and data."""
    shapes = [(name, tuple(z.shape)) for name, z in network.state_dict().items()]
    told = (kind, str(network), shapes, data.name, data.image_size, data.batch_size, _STEPS, _LR)
    mark = hashlib.sha256(repr(told).encode())
    mark.update(data.train_labels.numpy().tobytes())
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    ours = os.environ.get("FRANKENSTEIN_CACHE") or os.path.join(caches, "frankenstein")
    return Path(ours) / "frauds" / f"{kind}-{mark.hexdigest()[:16]}.safetensors"


def _grid_of(pair: StitchingPair) -> tuple[int, ...] | None:
    """The grid that pixels are brought to; None where the target has tokens."""
    target = pair.joint.target
    return None if target.kind == "tokens" else target.grid


def _pooled(images: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Means of pixels over the cells of a grid; of a vector's 8 x 8 cells, side by side."""
    if not grid:
        return functional.adaptive_avg_pool2d(images, 8).flatten(1)
    return functional.adaptive_avg_pool2d(images, (grid[0], grid[1]))
