"""A classifier of torchvision, with its trained weights, yours or random ones."""

import warnings

from torchvision.models import get_model_weights

from frankenstein.data.preprocessing import preprocessing_of
from frankenstein.errors import UserError
from frankenstein.networks.sources.wish import Opened, Wish, card_of, sizes_of_data
from frankenstein.source import Source
from frankenstein.zoo.build import build_network
from frankenstein.zoo.files import open_saved, untrained
from frankenstein.zoo.vision import trained_transforms


def from_torchvision(source: Source, wish: Wish) -> Opened:
    """Its images go through the transforms of the trained weights."""
    name = source.label
    if source.weights is not None:
        module, card = open_saved(source.weights, name)
    elif source.seed is not None:
        card = card_of(name, *sizes_of_data(wish, 1000, 3), seed=source.seed, image_size=wish.size)
        module = untrained(card, source.seed)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # told below
            module = build_network(name, 1000, 3, 0, wish.size, "DEFAULT")
        if module.weights is None:
            raise UserError(
                f"{name}: the trained weights are neither on this machine nor can they be "
                f"downloaded; say {name}@FILE, or {name}#0 for random ones"
            )
        card = card_of(name, 1000, 3, image_size=wish.size, weights=str(module.weights))
    weights = card.weights or str(get_model_weights(source.name).DEFAULT)
    sees = preprocessing_of(trained_transforms(weights))
    return Opened(module, card, sees, lambda seed: untrained(card, seed))
