"""A network of the zoo by its name."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from frankenstein.catalog import find_network
from frankenstein.errors import UserError


def build_network(
    name: str,
    num_classes: int = 10,
    in_channels: int = 1,
    init_seed: int | None = None,
    image_size: int | None = None,  # None: what the network is made for
    weights: str | None = None,  # "DEFAULT": torchvision's trained ones
) -> nn.Module:
    """A new network with random weights: the same ones for the same `init_seed`.

    The seed acts inside this call only; the global generator goes on as if it had not been called.

    Raises:
        UserError: if the zoo has no network of that name, or it cannot be had like this.

    >>> build_network("resnet20_w2", in_channels=3, image_size=64).input_shape
    (3, 64, 64)
    """
    row = find_network(name)
    image_size = None if image_size == row.image_size else image_size
    options = {"image_size": image_size, "weights": weights}
    given = {option: value for option, value in options.items() if value is not None}
    taken = inspect.signature(row.target).parameters
    if "weights" in given and "weights" not in taken:
        raise UserError(
            f"there are no trained weights for {name}, got {weights!r}; "
            "those of torchvision are for torchvision/<name>"
        )
    if "image_size" in given and "image_size" not in taken:
        raise UserError(
            f"{name} sees images of {row.image_size} pixels only, got {image_size}; "
            "leave image_size out"
        )
    with _seeded(init_seed), _refusing(name, image_size):
        network = row(num_classes=num_classes, in_channels=in_channels, **given)
        if image_size is not None:
            with torch.no_grad():
                network.eval()(torch.zeros(1, *network.input_shape))
            network.train()
    return network


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def _refusing(name: str, image_size: int | None) -> Iterator[None]:
    """Says that it is the size of the images that a network cannot do with."""
    try:
        yield
    except (RuntimeError, ValueError, AssertionError) as error:
        if image_size is None or isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split())
        raise UserError(f"{name} cannot see images of {image_size} pixels: {reason}") from None
