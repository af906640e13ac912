"""What each network is shown of the same images, in words."""

from collections.abc import Sequence

from frankenstein.data import ImageData
from frankenstein.networks.network import Network


def sight_lines(networks: Sequence[Network], data: ImageData) -> dict[str, str]:
    """By role: what a network sees, and who says so."""
    return {
        network.role: f"{data.eyes_for(network.input_shape[-1], network.eyes)} ({_why(network)})"
        for network in networks
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


def _why(network: Network) -> str:
    if "normalize" in network.told:
        return "as you say"
    if network.sees:
        return "as its source says"
    if network.card.weights:
        return "as its first weights want"
    return "the data set's own" + ("" if network.dataset else ", for its source does not say")
