"""One file for each source of networks: from its name to the network and what comes with it."""

from collections.abc import Callable
from importlib import import_module

from frankenstein.networks.sources.wish import Opened, Wish
from frankenstein.source import Kind, Source

# Imported when a source is first asked for, for some bring a library with them.
_OPENERS: dict[Kind, str] = {
    "file": "files:from_file",
    "zoo": "zoo:from_zoo",
    "torchvision": "torchvision:from_torchvision",
    "timm": "timm:from_timm",
    "hf": "huggingface:from_transformers",
    "code": "code:from_code",
}


def opened(source: Source, wish: Wish) -> Opened:
    """The network that a source names.

    Raises:
        FileError: if a file is absent, damaged, or does not hold that network.
        UserError: if there is no such network, it cannot be had here, or it needs a word more.
    """
    file, _, function = _OPENERS[source.kind].partition(":")
    opener: Callable[[Source, Wish], Opened] = getattr(
        import_module(f"{__name__}.{file}"), function
    )
    return opener(source, wish)
