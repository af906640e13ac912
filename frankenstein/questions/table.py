"""The questions of `analyze` and their options, as facts that are read before torch is imported.

To add one, write a `Question` in a file or folder beside this one and its row here. Its switch on
the command line, in YAML and in `AnalyzePlan` comes from the row, and so do its options: the row's
third part, a class of `Options` that the question inherits from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from frankenstein.catalog import Entry
from frankenstein.errors import PlanError
from frankenstein.runs.plan import Options
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class CircuitOptions(Options):
    """Which units belong together."""

    group: ClassVar[str] = "circuits"

    similarity: Literal["correlation", "cosine"] = option(
        "correlation", "what links two units of a circuit, over images"
    )
    threshold: float | None = option(
        None,
        "similarity from which units are linked; the one that leaves the most groups, and never "
        "one that chance reaches, if absent",
    )
    grouping: Literal["components", "average"] = option(
        "components",
        "components: all that are linked to each other, through others too; average: hierarchical "
        "clustering, where two groups join while their mean similarity is enough",
    )

    def check(self) -> None:
        """Refuse a threshold that is no similarity."""
        if not -1 <= (self.threshold or 0) <= 1:
            raise PlanError(f"‹threshold› is a similarity, from -1 to 1, got {self.threshold}")


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


@dataclass(frozen=True, kw_only=True)
class InvarianceOptions(Options):
    """How images are made that are the same to a layer."""

    group: ClassVar[str] = "invariances"

    goals: int = option(100, "images that others are to be the same as, held-out ones", least=1)
    inversion_steps: int = option(150, "steps by which an image is changed", least=1)


@dataclass(frozen=True)
class Row(Entry):
    """A class of questions, and the options that it inherits from."""

    options: type[Options] = Options


QUESTIONS: Mapping[str, Row] = {
    "units": Row(
        "frankenstein.questions.units.question:Units",
        "are the activations of an image alike, as they stand and sorted?",
    ),
    "weights": Row(
        "frankenstein.questions.weights.question:Weights",
        "how are the weights of each layer spread, and how far apart before and after matching?",
    ),
    "activations": Row(
        "frankenstein.questions.activations.question:Activations",
        "what do the units of each layer do: distributions, dead units, selectivity, top images?",
    ),
    "circuits": Row(
        "frankenstein.questions.circuits.question:Circuits",
        "which units are active together, are they the same in both, and what are they worth?",
        CircuitOptions,
    ),
    "merge": Row(
        "frankenstein.questions.merging.question:Merge",
        "can their weights be averaged once their units are in one order?",
    ),
    "autoencoder": Row(
        "frankenstein.questions.dictionaries.question:Autoencoder",
        "which sparse features make up a layer, and are they the same in both networks?",
        DictionaryOptions,
    ),
    "crosscoder": Row(
        "frankenstein.questions.crosscoder.question:Crosscoder",
        "which features of one dictionary of both networks do they share, and which has one alone?",
        DictionaryOptions,
    ),
    "probes": Row(
        "frankenstein.questions.probes.question:Probes",
        "how well can the labels be read out of each layer, beside random labels?",
    ),
    "invariances": Row(
        "frankenstein.questions.invariances.question:Invariances",
        "are images that a layer takes for the same also the same to the other network?",
        InvarianceOptions,
    ),
}
