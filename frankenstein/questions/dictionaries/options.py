"""The options of the question about sparse features, which its plan and its question share."""

from dataclasses import dataclass
from typing import ClassVar

from frankenstein.runs.plan import Options
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class DictionaryOptions(Options):
    """How sparse autoencoders are made."""

    group: ClassVar[str] = "autoencoder"

    features: int | None = option(
        None, "features of a sparse autoencoder; four times the layer's units if absent", least=1
    )
    k: int = option(4, "features active at a place, at most", least=1)
    l1: float | None = option(
        None,
        "penalty on the sum of active features, in place of k: an autoencoder with ReLU",
        least=0,
    )
    steps: int = option(600, "batches that each autoencoder is trained on", least=1)
