"""A network as a value: its module, what is known of it, and the role that it plays."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein import zoo
from frankenstein.data import Preprocessing, preprocessing_of, resampling_of
from frankenstein.data.own import own_data
from frankenstein.data.tokenizers import Tokenizer
from frankenstein.errors import UserError, counted
from frankenstein.networks.sources import Wish, opened
from frankenstein.networks.statistics import count_statistics
from frankenstein.source import names_code, parse_source
from frankenstein.zoo import Card, network_sha256

RESERVED = (
    *("sender", "receiver", "subject", "untrained", "untrained_sender", "untrained_receiver"),
    "most_frequent",  # the share of the largest class, which stands among the accuracies
)


@dataclass(frozen=True, eq=False)
class Network:
    """Opened, checked and hashed once, then passed on; frozen, in evaluation mode."""

    module: nn.Module
    card: Card
    source: str  # as the user named it: a file, or another of `frankenstein.source`
    role: str = "subject"  # "sender", "receiver", ...: what tables and numbers call it
    control_of: str | None = None  # the role whose untrained twin this is
    sees: Preprocessing | None = (
        None  # what its source says; None: as its card or the data set has it
    )
    build: Callable[[int], nn.Module] | None = None  # one of its kind, of random weights by a seed
    told: frozenset[str] = frozenset()  # the options of the user that it took: "size", "normalize"
    inputs: Mapping[str, Tensor] = field(default_factory=dict)  # an example, if it sees no images
    tokenizer: Tokenizer | None = None  # of a network that reads text
    causal: bool = False  # whether it says at every token what the next one is

    @property
    def dataset(self) -> str | None:
        """The data set that it was trained on; None if that is unknown."""
        return self.card.dataset

    @property
    def kind(self) -> tuple[object, ...]:
        """What an untrained twin has in common with it."""
        card = self.card
        sizes = card.num_classes, card.in_channels, card.image_size
        return card.architecture, *sizes, self.eyes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one example, (C, H, W).

        Raises:
            UserError: if it sees no images.
        """
        if self.inputs or not hasattr(self.module, "input_shape"):
            given = " and ".join(self.inputs) or "inputs of its own"
            raise UserError(
                f"{self.source} takes {given}, and images are none of these; say ‹dataset› as "
                "my_data.py:loader, which gives yours, or text"
            )
        return tuple(self.module.input_shape)  # type: ignore[arg-type]

    @property
    def eyes(self) -> Preprocessing | None:
        """What is prescribed for its images; None: as the data set has it."""
        weights = self.card.weights
        known = preprocessing_of(zoo.trained_transforms(weights)) if weights else None
        return self.sees or known

    @property
    def example(self) -> Any:
        """Two inputs that it takes: black images, or tensors by name."""
        if self.inputs:
            return dict(self.inputs)
        if hasattr(self.module, "example_inputs"):
            return self.module.example_inputs
        some = next(self.module.parameters(), torch.empty(0))
        return torch.zeros(2, *self.input_shape, dtype=some.dtype, device=some.device)

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

        Raises:
            UserError: if there is no way to one.
        """
        return replace(
            self,
            module=count_statistics(self.random(seed).to(images.device), images),
            role=f"untrained_{self.role}",
            control_of=self.role,
        )

    def random(self, seed: int) -> nn.Module:
        """Random weights for a module of its kind: all that needs no data of an untrained one.

        Raises:
            UserError: if there is no way to one.
        """
        twin = None if self.build is None else self.build(seed).requires_grad_(False).eval()
        if twin is None or network_sha256(twin) == self.sha256:
            raise UserError(
                f"{self.source} cannot be had with random weights, which a control takes; name a "
                "function that makes it, and its weights behind @"
            )
        return twin

    def record(self) -> dict[str, Any]:
        """What `run.json` and pages say of it."""
        return {"file": self.source, "sha256": self.sha256, **asdict(self.card)}


def open_network(
    source: str,
    role: str = "subject",
    model: str | None = None,
    *,
    dataset: str | None = None,
    size: int | None = None,
    channels: int | None = None,
    normalize: Sequence[float] | None = None,
    resampling: str | None = None,
) -> Network:
    """The network of a source, opened once: a file, the folder of a run of train, or one of

        tiny10#0                        of the zoo; # and a seed for random weights
        torchvision/resnet18            torchvision's trained weights; all of these also take #SEED
        timm/vit_tiny_patch16_224       or @FILE for weights of any file that holds them
        hf/google/vit-base-patch16-224  a model of transformers: a name or a folder
        my_nets.py:small@best.pt        your own code: a function without arguments
        my_package.my_nets:small@best.pt

    `model` says what a file of tensors alone holds; its shapes tell if absent. Random weights are
    for the classes and channels of `dataset`, if it is named. Where a source does not say how it
    sees, `size` is that of its images, in pixels, `channels` are theirs, `normalize` their mean
    and standard deviation, of pixels between 0 and 1, or those of every channel, and `resampling`
    how they are resized: nearest, bilinear or bicubic. What timm, torchvision or transformers say
    is of their own weights: of yours, or random ones, it is what holds if you say nothing. Your
    own code is run; nothing else is.

    Raises:
        FileError: if a file does not hold the network.
        UserError: if there is no such network, or it cannot be had here.
    """
    named = parse_source(source)
    own = own_data(dataset) if dataset and names_code(dataset) else None
    made = opened(named, Wish(model, None if own else dataset, size, channels, own))
    module, card, sees = made.module.requires_grad_(False).eval(), made.card, made.sees
    shape: tuple[int, ...] = tuple(getattr(module, "input_shape", ()))
    told = {"size"} if named.kind != "file" and shape[-1:] == (size,) else set()
    if sees is not None and len(sees.mean) != shape[0]:  # of the same kind with other channels
        sees = replace(sees, mean=(), std=())
    known = named.kind == "code" or named.weights is named.seed is None
    if card.dataset is None and shape and not (sees and sees.mean and known):
        if normalize is not None or resampling is not None:
            sees = sees or Preprocessing(shape[-1], shape[-1], (), ())
        if sees is not None and normalize is not None:
            sees = _normalized(sees, normalize, shape[0])
            told |= {"normalize"}
        if sees is not None and resampling is not None:
            sees = replace(sees, resampling=resampling_of(resampling))
            told |= {"resampling"}
    return Network(
        module,
        card,
        source,
        role,
        sees=sees,
        build=made.build,
        told=frozenset(told),
        inputs=made.example,
        tokenizer=made.tokenizer,
        causal=made.causal,
    )


def _normalized(sees: Preprocessing, numbers: Sequence[float], channels: int) -> Preprocessing:
    """With a mean and a deviation in numbers, or those of each channel."""
    half = len(numbers) // 2
    if len(numbers) not in (2, 2 * channels) or not all(std > 0 for std in numbers[half:]):
        raise UserError(
            "‹normalize› takes a mean and a standard deviation above 0, or "
            f"{counted(channels, 'mean')} and "
            f"as many deviations, got {', '.join(map(str, numbers))}"
        )
    times = channels if len(numbers) == 2 else 1
    mean, std = tuple(numbers[:half]) * times, tuple(numbers[half:]) * times
    return replace(sees, mean=mean, std=std)


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


_AS_IT_IS = "trained"  # with the weights that come with it


def short_name(source: str) -> str:
    """What names of runs call a network: its file, or its folder if it is the only one.

    >>> short_name("Tiny10/CIFAR10/in0-gn0/110000.pt")  # a snapshot says its step only
    'in0-gn0-110000'
    >>> short_name("results/train/lenet-digits-in0-gn0/snapshots/epoch5.safetensors")
    'lenet-digits-in0-gn0-epoch5'
    >>> short_name("my_nets.py:small@best.pt"), short_name("timm/resnet18.a1_in1k#3")
    ('best', 'seed3')
    """
    one = parse_source(source)
    if one.kind != "file" and one.weights is None:
        return _AS_IT_IS if one.seed is None else f"seed{one.seed}"
    path = Path(one.weights or one.name)
    stem = path.stem.removesuffix(".pth")  # best.pth.tar
    if stem.isdecimal() and path.parent.name:
        return f"{path.parent.name}-{stem}"
    if path.parent.name == "snapshots" and path.parent.parent.name:
        return f"{path.parent.parent.name}-{stem}"
    return path.parent.name if stem == "network" else stem


def told_name(source: str) -> str:
    """What a network is called in a table of runs: as `short_name` if it is a file, or its source.

    >>> told_name("results/train/lenet-3/network.safetensors"), told_name("timm/resnet18")
    ('lenet-3', 'timm/resnet18')
    """
    one = parse_source(source)
    return short_name(source) if one.kind == "file" or one.weights else source


def networks_name(networks: Sequence[Network], dataset: str | None, between: str = "-") -> str:
    """Networks and the data set they see: `tiny10-in0-gn0-in1-gn1-fashion`.

    Of each the architecture, unless the one before has the same, and what its file or folder is
    called, without what would be said twice; what each was trained on, where they differ in it.
    """
    words: list[str] = []
    several = len({network.dataset for network in networks}) > 1
    before = None
    for network in networks:
        card = network.card
        architecture = card.architecture.rpartition("/")[2]  # torchvision/resnet18
        architecture = re.sub(r"[^\w.-]+", "-", architecture.replace(".py:", "-"))
        label = short_name(network.source).removeprefix("torchvision-")
        for known in (f"{architecture}-{card.dataset}", architecture):
            label = label.removeprefix(f"{known}-")
        label = f"{card.dataset}-{label}" if several and card.dataset else label
        told = architecture if label == _AS_IT_IS else f"{architecture}-{label}"
        words.append(label if before in (architecture, label) else told)
        before = architecture
    return "-".join([between.join(words), *([data_word(dataset)] if dataset else [])])


def data_word(dataset: str) -> str:
    """What names of runs call a data set: of the user's code the file and the function.

    >>> data_word("folder/my_data.py:val_loader"), data_word("digits")
    ('my_data-val_loader', 'digits')
    """
    place, _, name = dataset.rpartition(":")
    return f"{Path(place).stem}-{name}" if place else dataset
