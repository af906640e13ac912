"""A network of timm, with its trained weights, yours or random ones."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from frankenstein.data.preprocessing import Preprocessing, resampling_of
from frankenstein.errors import UserError, did_you_mean
from frankenstein.networks.sources.libraries import downloading, library
from frankenstein.networks.sources.wish import (
    Opened,
    Wish,
    card_of,
    seeded,
    shaped,
    sizes_of_data,
)
from frankenstein.source import Source
from frankenstein.zoo.weights import is_head, load_weights, named_as, read_weights


def from_timm(source: Source, wish: Wish) -> Opened:
    """Its images go through what the model's configuration says."""
    timm = library("timm")
    known = timm.list_models()
    if not timm.is_model(source.name):
        raise UserError(f"timm has no {source.name!r}{did_you_mean(source.name, known)}")
    options: dict[str, Any] = {}
    config = timm.get_pretrained_cfg(source.name, allow_unregistered=True)
    if wish.size is not None and config is not None and config.fixed_input_size:
        options["img_size"] = wish.size

    def make(classes: int | None = None, channels: int = 3, **more: Any) -> nn.Module:
        given = {} if classes is None else {"num_classes": classes}
        return timm.create_model(source.name, in_chans=channels, **given, **options, **more)

    if source.weights is not None:
        tensors, _ = read_weights(source.weights)
        sizes = _sizes_of(lambda *sizes: make(*sizes), tensors)
        module: Any = make(*sizes)
        load_weights(module, tensors, source.weights, source.label)
    elif source.seed is not None:
        sizes = sizes_of_data(wish, None, 3)
        module = seeded(make, source.seed, *sizes)
    else:
        sizes = None, 3
        name = source.label
        otherwise = f" Or say {name}@FILE for weights that you have, or {name}#0 for random ones."
        with downloading(name, otherwise):
            module = make(pretrained=True)
    config = timm.data.resolve_model_data_config(module)
    size = wish.size or config["input_size"][-1]
    sees = preprocessing_of_config(config, size)
    channels = sizes[1]
    module.input_shape = (channels, size, size)
    classes = int(module.num_classes)
    card = card_of(source.label, classes, channels, seed=source.seed, image_size=size)
    return Opened(module, card, sees, lambda seed: shaped(seeded(make, seed, *sizes), module))


def preprocessing_of_config(config: Mapping[str, Any], size: int) -> Preprocessing:
    """What timm's `create_transform(**config)` does to an image that is evaluated.

    Raises:
        DataError: if it is resized in a way that PIL has not.
    """
    return Preprocessing(
        int(size / config["crop_pct"]),
        size,
        tuple(config["mean"]),
        tuple(config["std"]),
        resampling_of(config["interpolation"]),
        squash=config["crop_mode"] == "squash",
    )


def _sizes_of(
    make: Callable[[int | None, int], nn.Module], tensors: dict[str, Tensor]
) -> tuple[int | None, int]:
    """With how many classes and channels a network has the sizes of these tensors, if with any."""
    with torch.device("meta"):
        own = make(None, 3).state_dict()
    named, _ = named_as(own, tensors)
    first = next((key for key, tensor in own.items() if tensor.ndim == 4), None)
    channels = named[first].shape[1] if first in named and named[first].ndim == 4 else 3
    other = [k for k, z in own.items() if k in named and named[k].shape != z.shape and k != first]
    head = other and is_head(own, other) and named[other[0]].ndim
    return (len(named[other[0]]) if head else None), channels
