"""The plan of `extract`: which layers of a network, of which data, into which file."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from frankenstein.errors import PlanError
from frankenstein.runs.fields import DataFields, DeviceFields, NetworkFields
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class ExtractPlan(DeviceFields, NetworkFields, DataFields):
    """What a network makes of the held-out examples of a data set, as a file."""

    verb: ClassVar[str] = "extract"

    network: str = option(about="network whose layers are written", source=True)
    layers: list[str] = option(
        [],
        "layers to write, names or globs; if absent all cut points, or of over 30 one a block",
    )
    output: str = option(
        about="file to write: .safetensors, which says how it was made, .npz, or .npy for one layer"
    )
    flattening: Literal["per_sample", "pooled", "last"] | None = option(
        None,
        "what an example becomes: all of it, the mean over its places or tokens, or its last "
        "token; if absent all, and of sentences, which have several lengths, the mean",
    )
    batch_size: int = option(250, "images a batch", least=1)
    quiet: bool = option(False, "no progress bar; print the file only")

    @property
    def names(self) -> list[str]:
        """The layers, each by itself; none if none are named."""
        return [name for word in self.layers for name in word.split(",") if name]

    def check(self) -> None:
        """Refuse words that name no layer.

        Raises:
            PlanError: if there are only such.
        """
        if self.layers and not self.names:
            raise PlanError(f"‹layers› names no layer, got {', '.join(map(repr, self.layers))}")
