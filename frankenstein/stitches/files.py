"""Stitches on disk: kilobytes, never the frozen networks that they join."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frankenstein.catalog import STITCHES
from frankenstein.errors import UserError
from frankenstein.files import (
    FileError,
    built_from,
    check_sizes,
    facts_of,
    load_tensors,
    save_tensors,
)
from frankenstein.stitches.stitch import Stitch


def save_stitch(path: str | Path, stitch: Stitch, facts: Mapping[str, Any] | None = None) -> Path:
    """Save a stitch as safetensors, with facts of the user's choice such as what it joins."""
    record = {"kind": "stitch", **stitch_record(stitch), "facts": dict(facts or {})}
    return save_tensors(path, stitch.state_dict(), record)


def stitch_record(stitch: Stitch) -> dict[str, Any]:
    """What a stitch is, but for its tensors: what `built_stitch` takes."""
    # A family that is not imported is not this one's: that of the lasso takes a second to import.
    here = [name for name, row in STITCHES.items() if row.where.split(":")[0] in sys.modules]
    family = next((name for name in here if STITCHES[name].target is type(stitch)), None)
    if family is None:
        raise UserError(f"{type(stitch).__name__} has no row in the catalog; add one to save it")
    return {
        "family": family,
        "in_channels": stitch.in_channels,
        "out_channels": stitch.out_channels,
        "options": stitch.options,
    }


def load_stitch(path: str | Path) -> Stitch:
    """A saved stitch.

    Raises:
        FileError: if the file is absent, damaged or does not hold a stitch.
    """
    tensors, record = load_tensors(path)
    if record.get("kind") != "stitch":
        raise FileError(f"{path} does not hold a stitch; give a file that stitch.py wrote")
    return built_stitch(record, tensors, path)


def built_stitch(
    record: Mapping[str, Any], tensors: Mapping[str, Tensor], path: str | Path
) -> Stitch:
    """The stitch of a record of `stitch_record`, out of a file.

    Raises:
        FileError: if the record is of none, or the tensors are not its own.
    """
    family = str(record.get("family"))
    if family not in STITCHES:
        raise FileError(f"{path} does not hold a stitch; give a file that stitch.py wrote")
    with built_from(path, f"{family} stitch"), torch.random.fork_rng(devices=[]):
        # Its random start is overwritten.
        units = record["in_channels"], record["out_channels"]
        make = partial(STITCHES[family], *units, **record["options"])
        check_sizes(make, tensors)
        stitch = make()
        stitch.load_state_dict(tensors)
    return stitch


def holds_stitch(path: str | Path) -> bool:
    """Whether a file of tensors is one of a stitch."""
    return load_tensors(path)[1].get("kind") == "stitch"


def stitch_facts(path: str | Path) -> dict[str, Any]:
    """What was saved with a stitch beside it: the networks and layers that it joins.

    Raises:
        FileError: if the file is absent or damaged.
    """
    return facts_of(path)
