"""A network out of a file of ours, or of tensors that tell which network of the zoo they are."""

from frankenstein.activations import activations_at
from frankenstein.files import FileError
from frankenstein.networks.sources.wish import Opened, Wish
from frankenstein.networks.sources.zoo import of_the_zoo
from frankenstein.shipped import shipped
from frankenstein.source import Source
from frankenstein.zoo.files import open_saved


def from_file(source: Source, wish: Wish) -> Opened:
    """The file itself, or that in the folder of a run of train."""
    path = shipped(source.name)
    if path.suffix == ".py" and path.is_file():
        raise FileError(f"{path} is code; name what makes the network in it, as {path}:FACTORY")
    if path.is_dir():
        inside = path / "network.safetensors"  # of a run of train
        if not inside.is_file() and (path / "config.json").is_file():
            raise FileError(f"{path} is a folder of transformers; say hf/{path}")
        path = inside if inside.is_file() else path
    try:
        module, card = open_saved(path, wish.model)
    except FileError:
        if activations_at(str(path)) is not None:
            raise FileError(
                f"{path} holds activations, and here a network is wanted; `compare` takes both"
            ) from None
        raise
    return of_the_zoo(module, card)
