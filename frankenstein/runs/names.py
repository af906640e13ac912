"""What a run is called unless its plan says it: its networks and its data set."""

from collections.abc import Sequence
from pathlib import Path

from frankenstein.networks.network import Network, short_name


def networks_name(networks: Sequence[Network], dataset: str | None, between: str = "-") -> str:
    """Saved networks and the data set they see: `tiny10-in0-gn0-in1-gn1-fashion`.

    Of each the architecture, unless the one before has the same, and what its file or folder is
    called, without what would be said twice; what each was trained on, where they differ in it.
    """
    words: list[str] = []
    several = len({network.dataset for network in networks}) > 1
    before = None
    for network in networks:
        card = network.card
        architecture = card.architecture.rpartition("/")[2]  # torchvision/resnet18
        label = short_name(network.source).removeprefix("torchvision-")
        for known in (f"{architecture}-{card.dataset}", architecture):
            label = label.removeprefix(f"{known}-")
        label = f"{card.dataset}-{label}" if several and card.dataset else label
        words.append(label if before in (architecture, label) else f"{architecture}-{label}")
        before = architecture
    return "-".join([between.join(words), *([dataset] if dataset else [])])


def run_label(folder: str, dataset: str | None) -> str:
    """What is done with a run's stitches: the run, and the data set if it is given anew."""
    return "-".join([Path(folder).resolve().name, *([dataset] if dataset else [])])
