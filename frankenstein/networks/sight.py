"""What each network is shown of the same images, in words."""

from collections.abc import Sequence

from frankenstein.data import ImageData, Preprocessing
from frankenstein.networks.network import Network


def sight_lines(networks: Sequence[Network], data: ImageData) -> dict[str, str]:
    """By role: what a network sees, and who says so."""
    return {
        network.role: f"{shown} ({_why(network, shown)})"
        for network in networks
        for shown in [data.eyes_for(network.input_shape[-1], network.eyes)]
    }


def is_usual(networks: Sequence[Network]) -> bool:
    """Whether all networks see as the data sets have it that their own files name."""
    return all(network.dataset and not network.sees for network in networks)


def foreign_lines(networks: Sequence[Network], dataset: str | None) -> list[str]:
    """A warning for each network that was trained on other data."""
    return [
        f"the {network.role} was trained on {network.dataset}, and is shown {dataset}"
        for network in networks
        if network.dataset not in (None, dataset)
    ]


def _why(network: Network, shown: Preprocessing) -> str:
    if "normalize" in network.told:
        return "as you say"
    if network.sees and network.sees.mean != shown.mean:  # of images with other channels
        return "the data set's own, for its source says how it sees other channels"
    if network.sees:
        return "as its source says"
    if network.card.weights:
        return "as its first weights want"
    return "the data set's own" + ("" if network.dataset else ", for its source does not say")
