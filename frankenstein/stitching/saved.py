"""A finished stitching run, read from its folder: its plan, its networks, its stitches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.runs.stitch_run import check_made_for, read_stitch_run
from frankenstein.runs.types import StitchKind
from frankenstein.stitches import Stitch, load_stitch
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
        plan, files = read_stitch_run(folder, kinds, **changed)
        pair = open_stitching_pair(plan)
        if not other_networks:
            check_made_for(files.values(), (pair.sender, pair.receiver))
        return cls(plan, pair, {kind: load_stitch(file) for kind, file in files.items()})

    def to(self, device: torch.device) -> "StitchedRun":
        """The same, on a device."""
        self.pair.to(device)
        nn.ModuleList(self.stitches.values()).to(device)
        return self

    def aligned(self, kind: str) -> nn.Module:
        """From the sender's representation to the stitched one."""
        return nn.Sequential(self.pair.joint.align, self.stitches[kind])
