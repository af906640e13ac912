"""What a source is asked for and gives, and what several sources take to give it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.catalog import DATASETS
from frankenstein.data.own import OwnData
from frankenstein.data.preprocessing import Preprocessing
from frankenstein.data.tokenizers import Tokenizer
from frankenstein.zoo.files import Card


@dataclass(frozen=True)
class Wish:
    """What the user says of a network that its source does not say itself."""

    model: str | None = None  # the architecture of a file of tensors alone
    dataset: str | None = None  # of which random weights get the classes and channels
    size: int | None = None  # pixels
    channels: int | None = None
    own: OwnData | None = None  # the user's own data, which are shown to it


@dataclass(frozen=True)
class Opened:
    """A network, and what came with it."""

    module: nn.Module
    card: Card
    sees: Preprocessing | None = None  # None: the source does not say
    # A network of the same kind with the random weights of a seed; None: there is no way to one.
    build: Callable[[int], nn.Module] | None = None
    example: dict[str, Tensor] = field(default_factory=dict)  # an input that is no image
    tokenizer: Tokenizer | None = None  # of a network that reads text
    causal: bool = False  # whether it says at every token what the next one is


def card_of(
    name: str,
    classes: int,
    channels: int,
    seed: int | None = None,
    image_size: int | None = None,
    weights: str | None = None,
) -> Card:
    """Of a network that frankenstein did not train."""
    return Card(name, classes, channels, None, seed, None, None, image_size, weights)


def sizes_of_data(wish: Wish, classes: Any, channels: int) -> tuple[Any, int]:
    """Classes and channels of random weights: those of the data set if one is named."""
    if wish.own is not None:
        seen = wish.own.seen_shape
        return wish.own.num_classes or classes, seen[0] if len(seen) == 3 else channels
    if wish.dataset is None or not DATASETS[wish.dataset].in_channels:  # of text
        return classes, wish.channels or channels
    row = DATASETS[wish.dataset]
    return row.num_classes or classes, row.in_channels


def seeded(make: Callable[..., Any], seed: int, *args: Any) -> Any:
    """What a function makes with the random numbers of a seed; the global generator stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(*args)


def shaped(new: nn.Module, like: nn.Module) -> nn.Module:
    """A new network that takes what another takes."""
    for name in ("input_shape", "example_inputs"):
        if hasattr(like, name):
            setattr(new, name, getattr(like, name))
    return new
