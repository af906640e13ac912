"""A network as a value: its module, what is known of it, and the role that it plays."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein import zoo
from frankenstein.data import Preprocessing, preprocessing_of
from frankenstein.networks.statistics import count_statistics
from frankenstein.zoo import Card, network_sha256, open_saved, untrained

RESERVED = (
    *("sender", "receiver", "subject", "untrained", "untrained_sender", "untrained_receiver"),
    "most_frequent",  # the share of the largest class, which stands among the accuracies
)


@dataclass(frozen=True, eq=False)
class Network:
    """Opened, checked and hashed once, then passed on; frozen, in evaluation mode."""

    module: nn.Module
    card: Card
    source: str  # the file, as the user named it
    role: str = "subject"  # "sender", "receiver", ...: what tables and numbers call it
    control_of: str | None = None  # the role whose untrained twin this is

    @property
    def dataset(self) -> str | None:
        """The data set that it was trained on; None if that is unknown."""
        return self.card.dataset

    @property
    def kind(self) -> tuple[object, ...]:
        """What an untrained twin has in common with it."""
        card = self.card
        return card.architecture, card.num_classes, card.in_channels, card.image_size

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example, (C, H, W)."""
        return tuple(self.module.input_shape)  # type: ignore[arg-type]

    @property
    def eyes(self) -> Preprocessing | None:
        """What trained weights prescribe for their images; None: as the data set has it."""
        weights = self.card.weights
        return preprocessing_of(zoo.trained_transforms(weights)) if weights else None

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of its weights and buffers."""
        return network_sha256(self.module)

    def to(self, device: torch.device | str) -> "Network":
        """The same, on a device."""
        self.module.to(device)
        return self

    def untrained(self, seed: int, images: Tensor) -> "Network":
        """A network of the same kind with the random weights of a seed: its control.

        It has learned nothing, but BatchNorm's statistics are counted on `images`, of
        `counting_images`: with those it starts from, signals die out from layer to layer.
        """
        module = untrained(self.card, seed).requires_grad_(False).to(images.device)
        return replace(
            self,
            module=count_statistics(module, images),
            role=f"untrained_{self.role}",
            control_of=self.role,
        )

    def record(self) -> dict[str, Any]:
        """What `run.json` and pages say of it."""
        return {"file": self.source, "sha256": self.sha256, **asdict(self.card)}


def open_network(source: str, role: str = "subject", model: str | None = None) -> Network:
    """The network in a file, or in the folder of a run that trained one; the file is read once.

    `model` says what a file of tensors alone holds; its shapes tell if absent.

    Raises:
        FileError: if the file does not hold a network.
    """
    inside = Path(source) / "network.safetensors"  # of a run of train
    module, card = open_saved(inside if inside.is_file() else source, model)
    return Network(module.requires_grad_(False).eval(), card, source, role)


def roles_of(files: Iterable[str]) -> list[str]:
    """A role of its own for each further network: what its file is called.

    >>> roles_of(["a/in2.safetensors", "b/in2.safetensors", "c/receiver.safetensors"])
    ['in2', 'in2-2', 'receiver-2']
    """
    roles: list[str] = []
    for file in files:
        name, taken = short_name(file), {*RESERVED, *roles}
        names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
        roles.append(next(one for one in names if one not in taken))
    return roles


def short_name(file: str) -> str:
    """What names of runs call a saved network: its file, or its folder if it is the only one.

    >>> short_name("Tiny10/CIFAR10/in0-gn0/110000.pt")  # a snapshot says its step only
    'in0-gn0-110000'
    """
    path = Path(file)
    if path.stem.isdecimal() and path.parent.name:
        return f"{path.parent.name}-{path.stem}"
    return path.parent.name if path.stem == "network" else path.stem


def networks_name(networks: Sequence[Network], dataset: str | None, between: str = "-") -> str:
    """Saved networks and the data set they see: `tiny10-in0-gn0-in1-gn1-fashion`.

    Of each the architecture, unless the one before has the same, and what its file or folder is
    called, without what would be said twice; what each was trained on, where they differ in it.
    """
    words: list[str] = []
    several = len({network.dataset for network in networks}) > 1
    before = None
    for network in networks:
        card = network.card
        architecture = card.architecture.rpartition("/")[2]  # torchvision/resnet18
        label = short_name(network.source).removeprefix("torchvision-")
        for known in (f"{architecture}-{card.dataset}", architecture):
            label = label.removeprefix(f"{known}-")
        label = f"{card.dataset}-{label}" if several and card.dataset else label
        words.append(label if before in (architecture, label) else f"{architecture}-{label}")
        before = architecture
    return "-".join([between.join(words), *([dataset] if dataset else [])])
