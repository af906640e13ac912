"""Networks whose file holds tensors alone, such as Dr. Frankenstein's: what do they hold?"""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from frankenstein.catalog import ARCHITECTURES, find_network
from frankenstein.files import FileError
from frankenstein.zoo.build import build_network
from frankenstein.zoo.weights import few, named_as


def describe(
    path: str | Path, tensors: Mapping[str, Tensor], architecture: str | None
) -> tuple[str, int, int]:
    """Architecture, classes and channels of the network that these tensors are the state of.

    They are told from names and shapes; the path is for messages only.

    Raises:
        FileError: if they are not the state of a network of the zoo, or of that architecture.
    """
    guesses = _guesses(tensors) if architecture is None else [architecture]
    for name in guesses:
        sizes = _fit(name, tensors)
        if sizes is not None:
            return name, *sizes
    shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items()]
    raise FileError(
        f"{path} holds no {architecture or 'network of the zoo'}: it has {len(tensors)} tensors, "
        f"{few(shapes)}; "
        + (
            f"known by their shapes: {', '.join(name for name in ARCHITECTURES if '/' not in name)}"
            if architecture is None
            else "name another network, or none"
        )
    )


def _guesses(tensors: Mapping[str, Tensor]) -> list[str]:
    maps, rows = (
        next((len(tensor) for tensor in tensors.values() if tensor.ndim == axes), 0)
        for axes in (4, 2)
    )
    widths = {"resnet20_w<k>": maps // 16, "dense_w<k>": 0 if maps else rows}
    names = [name.replace("<k>", str(max(1, widths.get(name, 0)))) for name in ARCHITECTURES]
    return [name for name in names if "<" not in name]


def _fit(name: str, tensors: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """The classes and channels with which a network has just these tensors; None if there are none.

    A model is built, and its first and last layer, compared with these, tell the numbers.
    """
    model = build_network(name, num_classes=10, in_channels=3, init_seed=0).state_dict()
    tensors, _ = named_as(model, tensors)
    if model.keys() != tensors.keys():
        return None
    weights = [key for key in model if key.endswith(".weight")]
    first, last = weights[0], weights[-1]
    if min(tensors[first].ndim, tensors[last].ndim) < 2:
        return None
    classes = len(tensors[last])
    channels = tensors[first].shape[1] * 3 // model[first].shape[1]
    if min(classes, channels) < 1:
        return None
    channels = channels if find_network(name).reads == "images" else 0
    model = build_network(name, classes, channels, init_seed=0).state_dict()
    same = all(model[key].shape == tensor.shape for key, tensor in tensors.items())
    return (classes, channels) if same else None
