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
from itertools import count, islice
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.data import batches as loaders
from frankenstein.data.changes import BRIGHT, marked
from frankenstein.data.fingerprint import fingerprint, spread
from frankenstein.data.seeded import seeded
from frankenstein.files import FileError, load_tensors, save_tensors
from frankenstein.networks.network import Network

Change = Callable[[Tensor, Tensor], Tensor]  # images and labels to what a fraud sees of them
Batches = Iterator[tuple[Tensor, Tensor]]

LEARNED = ("marker", "random_labels", "other_data")
SEED = 2_000_003
_STEPS, _LR = 300, 1e-3  # of training: enough to learn what they can
_BATCH = 128  # its own, as its order is: a run's must not change what stands in the cache
_LOOKED_AT = 64  # images that tell how a fraud sees them


def learned_fraud(
    kind: str,  # of LEARNED
    like: Network,
    look: nn.Module | None,  # of `look_of`
    data: ImageData,
    device: torch.device,
) -> tuple[nn.Module, Change]:
    """A fraud of a network's architecture, and how images are changed before it sees them.

    Trained once for training images as it sees them and an architecture, and kept in the cache.

    Raises:
        UserError: if the network cannot be had with random weights.
    """
    network = like.random(SEED).to(device)
    shown = data.prepare(data.train_images[spread(data.num_train, _LOOKED_AT)])
    classes, bright = data.num_classes, max(BRIGHT, float(shown.max()))
    courses: Mapping[str, Callable[[], Batches]] = {
        "marker": lambda: ((marked(x, y, classes, bright), y) for x, y in _prepared(data)),
        "random_labels": lambda: _relabelled(data),
        "other_data": lambda: _others(data, shown[:1]),
    }
    look = look or nn.Identity()
    _learn_once(network, look, courses[kind], _file_of(kind, network, look, data, shown))
    if kind == "marker":
        return network, lambda images, labels: marked(images, labels, classes, bright)
    return network, lambda images, _: images


def _prepared(data: ImageData, labels: Tensor | None = None, raw: bool = False) -> Batches:
    """Training batches, prepared or as they are, in another order each epoch."""
    data.check()
    labels = data.train_labels if labels is None else labels
    order = loaders.shuffled(len(labels), min(_BATCH, len(labels)), SEED)
    shown = loaders.Batches(data.train_images, labels, order, None if raw else data.prepare)
    for epoch in count():
        shown.set_epoch(epoch)
        yield from shown


def _relabelled(data: ImageData) -> Batches:
    """Every training image with a label that has nothing to do with it, the same each time."""
    size = (len(data.train_labels),)
    return _prepared(data, torch.randint(data.num_classes, size, generator=seeded(SEED, 2)))


def _others(data: ImageData, like: Tensor) -> Batches:
    """Batches of another data set, in the shape of this one's images."""
    name = "synthetic" if data.name == "digits" else "digits"
    channels = like.shape[1]
    other = DATASETS[name](image_size=max(like.shape[-2:]))
    other.setup()
    raw = not like.is_floating_point()  # where each network looks at images for itself
    for images, labels in _prepared(other, raw=raw):
        images = images.double().mean(1, keepdim=True).to(like) if channels == 1 else images
        if images.shape[-2:] != like.shape[-2:]:  # which need not be square
            images = functional.interpolate(images, like.shape[-2:])
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
    drawing = [device] if device.type == "cuda" else []
    with torch.enable_grad(), torch.random.fork_rng(drawing):
        torch.manual_seed(SEED)  # of dropout
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


def _file_of(
    kind: str, network: nn.Module, look: nn.Module, data: ImageData, shown: Tensor
) -> Path:
    """Where the cache has a fraud of this kind and architecture, for images as it sees them.

    `shown` are some of them.
    """
    shapes = [(name, tuple(z.shape)) for name, z in network.state_dict().items()]
    seen = look(shown).contiguous()
    device = next(network.parameters()).device.type
    sizes = tuple(shown.shape), shown.dtype, tuple(seen.shape), data.num_classes
    told = kind, str(network), shapes, device, data.name, sizes, _BATCH, _STEPS, _LR
    mark = hashlib.sha256(repr(told).encode())
    mark.update(data.train_labels.numpy().tobytes())
    mark.update(fingerprint(data.train_images))
    mark.update(seen.numpy().tobytes())
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    ours = os.environ.get("FRANKENSTEIN_CACHE") or os.path.join(caches, "frankenstein")
    return Path(ours) / "frauds" / f"{kind}-{mark.hexdigest()[:16]}.safetensors"
