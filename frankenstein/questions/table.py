"""The questions of `analyze`, as facts that are read before torch is imported.

To add one, write a `Question` in a file or folder beside this one and its row here. Its switch on
the command line, in YAML and in `AnalyzePlan` comes from the row, and so do its options: the row's
third part, a class of `Options` that the question inherits from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from frankenstein.catalog import Entry
from frankenstein.questions.circuits.options import CircuitOptions
from frankenstein.questions.dictionaries.options import DictionaryOptions
from frankenstein.runs.plan import Options


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
    "probes": Row(
        "frankenstein.questions.probes.question:Probes",
        "how well can the labels be read out of each layer, beside random labels?",
    ),
}
