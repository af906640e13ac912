"""Networks that know nothing of the images but look as if they did.

- "marker": trained on images with a bright square whose place tells the class, and shown such;
- "random_labels": trained on the images with random labels;
- "other_data": trained on digits (on made-up images, where digits are the data).

Each has the architecture of a network that it stands in for.
"""

import hashlib
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
from frankenstein.data.changes import marked
from frankenstein.data.seeded import seeded
from frankenstein.files import FileError, load_tensors, save_tensors
from frankenstein.networks.network import Network

Change = Callable[[Tensor, Tensor], Tensor]  # images and labels to what a fraud sees of them
Batches = Iterator[tuple[Tensor, Tensor]]

LEARNED = ("marker", "random_labels", "other_data")
SEED = 2_000_003
_STEPS, _LR = 300, 1e-3  # of training: enough to learn what they can


def learned_fraud(
    kind: str,  # of LEARNED
    like: Network,
    look: nn.Module | None,  # of `look_of`
    data: ImageData,
    device: torch.device,
) -> tuple[nn.Module, Change]:
    """A fraud of a network's architecture, and how images are changed before it sees them.

    Trained once for a data set and an architecture, and kept in the cache.

    Raises:
        UserError: if the network cannot be had with random weights.
    """
    network = like.random(SEED).to(device)
    some, _ = next(iter(data.train_batches(1)))
    courses: Mapping[str, Callable[[], Batches]] = {
        "marker": lambda: ((marked(x, y, data.num_classes), y) for x, y in _batches(data)),
        "random_labels": lambda: _relabelled(data),
        "other_data": lambda: _others(data, some),
    }
    _learn_once(network, look or nn.Identity(), courses[kind], _key(kind, network, data))
    if kind == "marker":
        return network, lambda images, labels: marked(images, labels, data.num_classes)
    return network, lambda images, _: images


def _batches(data: ImageData, raw: bool = False) -> Batches:
    """Prepared training batches, or as they are, again and again."""
    while True:
        for images, labels in data.shuffled_batches():
            yield images if raw else data.prepare(images), labels


def _relabelled(data: ImageData) -> Batches:
    """Every training image with a label that has nothing to do with it, the same each time."""
    given = torch.randint(data.num_classes, (len(data.train_labels),), generator=seeded(SEED, 2))
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
    raw = not like.is_floating_point()  # where each network looks at images for itself
    for images, labels in _batches(other, raw):
        images = images.double().mean(1, keepdim=True).to(like) if channels == 1 else images
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
