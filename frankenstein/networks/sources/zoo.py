"""A network of the zoo, of random weights or with those of a file."""

from frankenstein.errors import UserError
from frankenstein.networks.sources.wish import Opened, Wish, card_of, sizes_of_data
from frankenstein.source import Source
from frankenstein.zoo.files import open_saved, untrained


def from_zoo(source: Source, wish: Wish) -> Opened:
    """For the classes and channels of the data set, if one is named."""
    name = source.label
    if source.weights is not None:
        module, card = open_saved(source.weights, name)
        return Opened(module, card, build=lambda seed: untrained(card, seed))
    if source.seed is None:
        raise UserError(
            f"{name} has no trained weights of its own; say {name}@FILE, or {name}#0 for random "
            "ones"
        )
    card = card_of(name, *sizes_of_data(wish, 10, 1), seed=source.seed, image_size=wish.size)
    return Opened(untrained(card, source.seed), card, build=lambda seed: untrained(card, seed))
