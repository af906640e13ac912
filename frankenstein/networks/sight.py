"""What each network is shown of the same images, in words."""

from collections.abc import Sequence

from frankenstein.data import ImageData
from frankenstein.data.fits import described
from frankenstein.data.own import OwnData
from frankenstein.data.text import Text
from frankenstein.networks.data import eyes_on
from frankenstein.networks.network import Network
from frankenstein.source import names_code, parse_source

_BORROWED = {"fashion": "MNIST"}  # data sets whose mean and std are another's


def sight_lines(networks: Sequence[Network], data: ImageData) -> dict[str, str]:
    """By role: what a network sees, and who says so."""
    if isinstance(data, Text):
        tokenizers = {network.role: network.tokenizer for network in networks}
        return {role: data.sight(one) for role, one in tokenizers.items() if one}
    if isinstance(data, OwnData) and not data.pictured:
        shown = described(data.blank())
        return {network.role: f"{shown}, as {data.name} gives them" for network in networks}
    if isinstance(data, OwnData):
        return {
            network.role: f"{data.eyes_for(size, eyes_on(network), channels)}"
            f"{_recoloured(network, data)} ({_why_of_own(network)})"
            for network in networks
            for channels, *_, size in [network.input_shape]
        }
    return {
        network.role: f"{shown}{_recoloured(network, data)} ({_why(network)})"
        for network in networks
        for channels, *_, size in [network.input_shape]
        for shown in [data.eyes_for(size, network.eyes, channels)]
    }


def is_usual(networks: Sequence[Network], data: ImageData) -> bool:
    """Whether all networks see as the data sets have it that their own files name."""
    return not isinstance(data, Text | OwnData) and all(
        network.dataset and not network.sees and not _recoloured(network, data)
        for network in networks
    )


def guessed_lines(networks: Sequence[Network], data: ImageData, dataset: str | None) -> list[str]:
    """A warning if networks with weights do not say how their images were normalised."""
    if isinstance(data, Text | OwnData):
        return []
    guessed: dict[str, list[str]] = {}
    for network in networks:
        if not _is_guessed(network):
            continue
        channels, *_, size = network.input_shape
        eyes = data.eyes_for(size, network.eyes, channels)
        mean, std = (", ".join(f"{one:.4g}" for one in many) for many in (eyes.mean, eyes.std))
        guessed.setdefault(f"mean {mean}, std {std}", []).append(network.role)
    borrowed = f" (those of {_BORROWED[dataset]})" if dataset in _BORROWED else ""
    return [
        f"{' and '.join(roles)} {'do' if roles[1:] else 'does'} not say how images were normalised "
        f"in training, and {'are' if roles[1:] else 'is'} shown {dataset} with {numbers}"
        f"{borrowed}: if these were others, no number here is right; say ‹normalize› MEAN STD, or "
        "preprocessing beside the code"
        for numbers, roles in guessed.items()
    ]


def _is_guessed(network: Network) -> bool:
    """Whether its weights come from somewhere that is silent on how it saw images."""
    said = "normalize" in network.told or network.dataset or network.card.weights
    source = parse_source(network.source)
    return not said and not (network.sees and network.sees.mean) and source.seed is None


def foreign_lines(networks: Sequence[Network], dataset: str | None) -> list[str]:
    """A warning for each network that was trained on other data."""
    return [
        f"the {network.role} was trained on {network.dataset}, and is shown {dataset}"
        for network in networks
        if network.dataset not in (None, dataset) and not names_code(dataset or "")
    ]


def _recoloured(network: Network, data: ImageData) -> str:
    if network.input_shape[0] == data.in_channels:
        return ""
    return ", colours as grey (luma)" if network.input_shape[0] == 1 else ", grey in all channels"


def _why(network: Network) -> str:
    if "normalize" in network.told:
        return "as you say"
    if network.sees and network.sees.mean:
        return "as its source says"
    if network.sees:
        return "normalised as the data set has it, for its source does not say how"
    if network.card.weights:
        return "as its first weights want"
    return "the data set's own" + ("" if network.dataset else ", for its source does not say")


def _why_of_own(network: Network) -> str:
    """Who says how a network sees a user's own images; see `eyes_on`."""
    if network.eyes and network.eyes.mean:
        return _why(network)
    return f"as of {network.dataset}, which it was trained on"
