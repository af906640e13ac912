"""The questions of `frankenstein analyze`, as facts that are read before torch is imported.

To add one, write `cli/analyze_<name>.py` with `section(study) -> Section`, add its row here and its
switch to `cli/verbs/analyze.py`, and a YAML `configs/compare/<name>.yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from frankenstein.catalog import Entry


@dataclass(frozen=True)
class Question(Entry):
    """A function `(Study) -> Section`, and what it needs of the pass over the data."""

    reads_untrained: bool = False  # whether samples have rows of untrained networks, a control
    of_layers: bool = True  # False: it does not ask of pairs of layers
    reads_data: bool = True
    scores_answers: bool = False  # whether it holds what networks answer against the labels
    trains: bool = False  # whether something is fitted in epochs to all training images
    watch: str = ""  # "package.module:watcher", `(Study) -> Watcher`: is told of every batch of
    # held-out images, for what is not in pooled rows; it stays in `study.watchers[<name>]`


QUESTIONS: Mapping[str, Question] = {
    "units": Question(
        "frankenstein.questions.units.question:section",
        "are the activations of an image alike, as they stand and sorted?",
        reads_untrained=True,
    ),
    "weights": Question(
        "frankenstein.questions.weights.question:section",
        "how are the weights of each layer spread, and how far apart before and after matching?",
        of_layers=False,
        reads_data=False,
    ),
    "activations": Question(
        "frankenstein.questions.activations.question:section",
        "what do the units of each layer do: distributions, dead units, selectivity, top images?",
        reads_untrained=True,
        watch="frankenstein.questions.activations.question:ActivationWatcher",
    ),
    "circuits": Question(
        "frankenstein.questions.circuits.question:section",
        "which units are active together, are they the same in both, and what are they worth?",
        reads_untrained=True,
        scores_answers=True,
    ),
    "merge": Question(
        "frankenstein.questions.merging.question:section",
        "can their weights be averaged once their units are in one order?",
        of_layers=False,
        scores_answers=True,
    ),
    "autoencoder": Question(
        "frankenstein.questions.dictionaries.question:section",
        "which sparse features make up a layer, and are they the same in both networks?",
        scores_answers=True,
        trains=True,
    ),
    "probes": Question(
        "frankenstein.questions.probes.question:section",
        "how well can the labels be read out of each layer, beside random labels?",
        reads_untrained=True,
    ),
}
