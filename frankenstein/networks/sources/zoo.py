"""A network of the zoo, of random weights or with those of a file."""

from torch import nn

from frankenstein.catalog import find_network
from frankenstein.data.tokenizers import Bytes
from frankenstein.errors import UserError
from frankenstein.networks.sources.wish import Opened, Wish, card_of, sizes_of_data
from frankenstein.source import Source
from frankenstein.zoo.files import Card, open_saved, untrained
from frankenstein.zoo.gpt_tiny import LONGEST


def from_zoo(source: Source, wish: Wish) -> Opened:
    """For the classes and channels of the data set, if one is named."""
    name = source.label
    if source.weights is not None:
        module, card = open_saved(source.weights, name)
        return of_the_zoo(module, card)
    if source.seed is None:
        raise UserError(
            f"{name} has no trained weights of its own; say {name}@FILE, or {name}#0 for random "
            "ones"
        )
    reads_text = find_network(name).reads == "text"
    classes, channels = (Bytes().size, 0) if reads_text else sizes_of_data(wish, 10, 1)
    card = card_of(name, classes, channels, seed=source.seed, image_size=wish.size)
    return of_the_zoo(untrained(card, source.seed), card)


def of_the_zoo(module: nn.Module, card: Card) -> Opened:
    """A network that was built here, with its tokenizer if it reads text."""
    build = lambda seed: untrained(card, seed)  # noqa: E731
    if find_network(card.architecture).reads == "images":
        return Opened(module, card, build=build)
    example, tokenizer = module.example_inputs, Bytes(LONGEST)
    return Opened(module, card, None, build, example, tokenizer, causal=True)  # type: ignore
