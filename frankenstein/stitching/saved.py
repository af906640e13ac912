"""A finished stitching run, read from its folder: its plan, its networks, its stitches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.errors import UserError
from frankenstein.runs.config import read_plan
from frankenstein.runs.types import StitchKind
from frankenstein.stitches import Stitch, load_stitch, stitch_facts
from frankenstein.stitching.pair import StitchingPair, open_stitching_pair
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.score_table import KINDS


@dataclass(frozen=True, eq=False)
class StitchedRun:
    """What a run of `stitch` left, ready to be used again.

    run = StitchedRun.read("results/stitch/RUN", ["after"])
    stitched = run.aligned("after")(run.pair.joint.sender.front(images))
    logits = run.pair.joint.receiver.end(stitched)
    """

    plan: StitchPlan
    pair: StitchingPair
    stitches: dict[str, Stitch]

    @classmethod
    def read(
        cls,
        folder: str | Path,
        kinds: Sequence[StitchKind] = KINDS,
        other_networks: bool = False,
        **changed: Any,
    ) -> "StitchedRun":
        """The run in a folder, with some fields of its plan changed; frozen, on the CPU.

        Raises:
            UserError: if it holds no such run, or its networks are no longer those it was made for
                and `other_networks` does not allow that.
        """
        path = Path(folder)
        config, files = path / "config.yaml", {kind: path / f"{kind}.safetensors" for kind in kinds}
        if (path / "matrix.csv").is_file():
            raise UserError(
                f"{folder} is a matrix of stitches, which saves none; run stitch.py for one pair "
                "of its layers, SENDER_LAYER RECEIVER_LAYER"
            )
        for file in (config, *files.values()):
            if not file.is_file():
                raise UserError(f"{folder} is no run of stitch.py: there is no {file}")
        plan = read_plan(StitchPlan, config, **changed)
        pair = open_stitching_pair(plan)
        for file in () if other_networks else files.values():
            _check_networks(file, pair)
        return cls(plan, pair, {kind: load_stitch(file) for kind, file in files.items()})

    def to(self, device: torch.device) -> "StitchedRun":
        """The same, on a device."""
        self.pair.to(device)
        nn.ModuleList(self.stitches.values()).to(device)
        return self

    def aligned(self, kind: str) -> nn.Module:
        """From the sender's representation to the stitched one."""
        return nn.Sequential(self.pair.joint.align, self.stitches[kind])


def _check_networks(file: Path, pair: StitchingPair) -> None:
    facts = stitch_facts(file)
    for network in (pair.sender, pair.receiver):
        made_for = facts.get(network.role)
        if made_for != network.sha256:
            raise UserError(
                f"{file} was made for a {network.role} of sha256 {str(made_for)[:12]}..., and "
                f"{network.source} has {network.sha256[:12]}...: put the network back, stitch "
                "again, or say ‹other_networks›"
            )
