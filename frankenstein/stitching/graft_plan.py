"""The plan of `graft`: which stitch of which run, into which file."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from frankenstein.errors import PlanError
from frankenstein.runs.fields import CodeFields, StitchKind
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class GraftPlan(CodeFields):
    """Front of the sender, a stitch, end of the receiver, as one file."""

    verb: ClassVar[str] = "graft"

    subject: str = option(about="folder of a run of stitch.py", source=True)
    cut: list[str] | None = option(
        None, "of a matrix of stitches: the layer of the sender and that of the receiver"
    )
    stitch: StitchKind = option("after", "which stitch of the run")
    output: str = option(
        about="file to write: .safetensors, of networks of the zoo and torchvision, or .pt2, an "
        "exported program of torch"
    )

    def check(self) -> None:
        """Refuse other kinds of files, and other cuts than one of each network.

        Raises:
            PlanError: for either.
        """
        if self.cut is not None and len(self.cut) != 2:
            raise PlanError(
                "‹cut› takes a layer of the sender and one of the receiver, got "
                f"{' '.join(self.cut) or 'none'}"
            )
        if Path(self.output).suffix not in (".safetensors", ".pt2"):
            raise PlanError(f"‹output› ends in .safetensors or .pt2, got {self.output}")
