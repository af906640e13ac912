"""A finished stitching run, read from its folder: its networks, their joint, its stitches."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from frankenstein.cli.verbs.stitch import stitch
from frankenstein.errors import UserError
from frankenstein.runs.config import read_config
from frankenstein.runs.schema import read_schema
from frankenstein.stitches import Stitch, load_stitch, stitch_facts
from frankenstein.stitching.options import stitch_defaults
from frankenstein.stitching.pair import Pair, load_joint
from frankenstein.zoo import network_sha256


class StitchedRun(NamedTuple):
    """What a run of stitch.py left, ready to run again."""

    values: dict[str, Any]  # of every option of the run
    pair: Pair
    stitches: dict[str, Stitch]

    def to(self, device: torch.device) -> "StitchedRun":
        """The same, on a device."""
        joint = self.pair.joint
        parts = [self.pair.sender, self.pair.receiver, *joint.sender, *joint.receiver, joint.align]
        nn.ModuleList([*parts, *self.stitches.values()]).to(device)
        return self

    def aligned(self, kind: str) -> nn.Module:
        """From the sender's representation to the stitched one."""
        return nn.Sequential(self.pair.joint.align, self.stitches[kind])


def read_run(
    folder: str, kinds: Sequence[str], changed: Mapping[str, Any], other_networks: bool = False
) -> StitchedRun:
    """The run in a folder that stitch.py wrote, with the values of some options changed.

    Raises:
        UserError: if it holds no such run, or its networks are no longer those it was made for and
            `other_networks` does not allow that.
    """
    path = Path(folder)
    config, files = path / "config.yaml", {kind: path / f"{kind}.safetensors" for kind in kinds}
    if (path / "matrix.csv").is_file():
        raise UserError(
            f"{folder} is a matrix of stitches, which saves none; run stitch.py for one pair of "
            "its layers, SENDER_LAYER RECEIVER_LAYER"
        )
    for file in (config, *files.values()):
        if not file.is_file():
            raise UserError(f"{folder} is no run of stitch.py: there is no {file}")
    values = stitch_defaults() | read_config(read_schema(stitch), str(config)) | dict(changed)
    pair = load_joint(values)
    for file in () if other_networks else files.values():
        _check_networks(file, values, pair)
    return StitchedRun(values, pair, {kind: load_stitch(file) for kind, file in files.items()})


def _check_networks(file: Path, values: Mapping[str, Any], pair: Pair) -> None:
    facts = stitch_facts(file)
    for side in ("sender", "receiver"):
        made_for, found = facts.get(side), network_sha256(getattr(pair, side))
        if made_for != found:
            raise UserError(
                f"{file} was made for a {side} of sha256 {str(made_for)[:12]}..., and "
                f"{values[side]} has {found[:12]}...: put the network back, stitch again, "
                "or say --other-networks"
            )
