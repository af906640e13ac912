"""A network of the zoo by its name."""

import torch
from torch import nn

from frankenstein.catalog import NETWORKS
from frankenstein.errors import UserError


def build_network(
    name: str, num_classes: int = 10, in_channels: int = 1, init_seed: int | None = None
) -> nn.Module:
    """A new network with random weights: the same ones for the same `init_seed`.

    The seed acts inside this call only; the global generator goes on as if it had not been called.

    Raises:
        UserError: if the zoo has no network of that name.
    """
    if name not in NETWORKS:
        raise UserError(f"unknown network {name!r}; known: {', '.join(NETWORKS)}")
    if init_seed is None:
        return NETWORKS[name](num_classes, in_channels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init_seed)
        return NETWORKS[name](num_classes, in_channels)
