"""The stitch that a command line asks for: its family, and where it starts."""

from collections.abc import Mapping
from typing import Any

import torch

from frankenstein.catalog import STITCHES
from frankenstein.errors import UserError
from frankenstein.moments import Moments
from frankenstein.stitches import Stitch, start

_NEEDS = {"low_rank": ("low_rank", "rank"), "sparse": ("l1", "l1")}  # family: option, parameter


def family_of(values: Mapping[str, Any]) -> str:
    """The family that --family names, or that --low-rank or --l1 implies.

    Raises:
        UserError: if the options contradict each other or one is missing.
    """
    implied = [family for family, (option, _) in _NEEDS.items() if values[option] is not None]
    family = values["family"] or (implied[0] if implied else "affine")
    for other in implied:
        if other != family:
            raise UserError(
                f"--{_dashed(_NEEDS[other][0])} belongs to a {other} stitch, and this one is "
                f"{family}; leave one of the two out"
            )
    if family in _NEEDS and family not in implied:
        raise UserError(f"a {family} stitch needs --{_dashed(_NEEDS[family][0])}")
    if values["cka_reg"] and not STITCHES[family].trainable:
        raise UserError(f"--cka-reg acts in training, and a stitch of family {family} has none")
    return family


def make_stitch(values: Mapping[str, Any], in_channels: int, out_channels: int) -> Stitch:
    """A stitch of the family asked for; what is random in it comes from the seed alone."""
    family = family_of(values)
    options = {}
    if family in _NEEDS:
        option, parameter = _NEEDS[family]
        options[parameter] = values[option]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(values["seed"])
        return STITCHES[family](in_channels, out_channels, **options)


def start_stitch(stitch: Stitch, values: Mapping[str, Any], moments: Moments) -> Stitch:
    """The stitch at the start that --init names."""
    how = {"ps_inv": "solved"}.get(values["init"], values["init"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(values["seed"])
        return start(stitch, how, moments)


def epochs_of(values: Mapping[str, Any]) -> int:
    """Epochs of training: none for a family that follows no gradient."""
    return values["epochs"] if STITCHES[family_of(values)].trainable else 0


def _dashed(name: str) -> str:
    return name.replace("_", "-")
