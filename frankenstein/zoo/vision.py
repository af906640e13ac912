"""Classifiers of torchvision, for the classes and channels of the data at hand."""

import re
import sys
import warnings
from contextlib import redirect_stdout
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import (
    WeightsEnum,
    get_model,
    get_model_weights,
    get_weight,
    googlenet,
    list_models,
)

from frankenstein.errors import UserError, did_you_mean


class WeightsWarning(UserWarning):
    """Trained weights were asked for and could not be had."""


def torchvision_network(
    name: str,
    num_classes: int = 1000,
    in_channels: int = 3,
    image_size: int | None = None,  # None: the one that its trained weights are for
    weights: str | None = None,
) -> nn.Module:
    """The classifier of that name, with random weights or torchvision's trained ones (`"DEFAULT"`).

    If the number of classes is not 1000 the last layer is replaced by a new one, and if the number
    of channels is not 3 the first convolution is; it keeps trained filters, averaged over colours.
    Auxiliary heads are left out. `network.weights` names the trained weights, None if random ones.

    A trained network whose weights cannot be downloaded has random ones, and a WeightsWarning says
    so.

    Raises:
        UserError: if torchvision has no such classifier, or no such weights of it.
    """
    known = list_models(module=torchvision.models)
    if name not in known:
        raise UserError(
            f"torchvision has no classifier {name!r}; torchvision.models.list_models() lists them"
            + did_you_mean(name, known)
        )
    trained = get_model_weights(name).DEFAULT
    size = trained.transforms().crop_size[0] if image_size is None else image_size
    network = get_model(name, **_options(name, in_channels, size))
    network.weights = None
    if weights is not None:
        network.weights = _load(network, name, weights)
    if in_channels != 3:
        _replace_first(network, in_channels, keep=network.weights is not None)
    if num_classes != 1000:
        _replace_last(network, num_classes)
    network.input_shape = (in_channels, size, size)
    return network


def _options(name: str, in_channels: int, size: int) -> dict[str, Any]:
    """What some of torchvision's functions need to be told."""
    if name in ("googlenet", "inception_v3"):
        # Their trained weights need a rescaled input. It is rescaled with random weights as well,
        # so that a saved network is the same one whatever it started from.
        return {"aux_logits": False, "init_weights": False, "transform_input": in_channels == 3}
    if name.startswith("vit_"):
        return {"image_size": size}
    if name.startswith("maxvit_"):
        return {"input_size": (size, size)}
    return {}


def _load(network: nn.Module, name: str, which: str) -> str | None:
    """Loads trained weights, if they can be had, and returns their name."""
    enum = get_model_weights(name)
    if which not in (names := ["DEFAULT", *(one.name for one in enum)]):
        raise UserError(
            f"{name} has no weights {which!r}; known: {', '.join(names)}"
            f"{did_you_mean(which, names)}"
        )
    weights = enum[which] if which != "DEFAULT" else enum.DEFAULT
    try:
        load_pretrained(network, weights)
    except OSError as error:
        warnings.warn(
            f"{weights} cannot be downloaded ({error}); {name} starts from random weights",
            WeightsWarning,
            stacklevel=3,
        )
        return None
    return str(weights)


def _replace_first(network: nn.Module, in_channels: int, keep: bool) -> None:
    path, first = next(
        (path, layer) for path, layer in network.named_modules() if isinstance(layer, nn.Conv2d)
    )
    new = _like(first, in_channels, first.out_channels)
    if keep:
        with torch.no_grad():
            # Grey images then look as they did in colour.
            new.weight.copy_(first.weight.mean(1, keepdim=True) * 3 / in_channels)
            if first.bias is not None:
                new.bias.copy_(first.bias)
    network.set_submodule(path, new)


def _replace_last(network: nn.Module, num_classes: int) -> None:
    path, last = [
        (path, layer)
        for path, layer in network.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ][-1]
    inputs = last.in_features if isinstance(last, nn.Linear) else last.in_channels
    network.set_submodule(path, _like(last, inputs, num_classes))


def _like(layer: nn.Module, inputs: int, outputs: int) -> Any:
    """A new layer of the same kind."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Conv2d):
        size, stride, padding = layer.kernel_size, layer.stride, layer.padding
        return nn.Conv2d(inputs, outputs, size, stride, padding, bias=bias)  # type: ignore[arg-type]
    return nn.Linear(inputs, outputs, bias)


def load_pretrained(network: nn.Module, weights: WeightsEnum) -> None:
    """Load trained weights into a network that torchvision built.

    Raises:
        OSError: if they can neither be found on this machine nor downloaded.
        UserError: if they do not fit, as when a network is for images of another size.
    """
    with redirect_stdout(sys.stderr):  # torch says what it downloads; stdout is for results
        # Not torchvision's own way, `get_model(name, weights)`, which unpickles whatever it gets.
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    for key in list(state):  # in place, since it carries the version of each layer
        tensor = state.pop(key)
        if not key.startswith(("aux1.", "aux2.", "AuxLogits.")):
            # The files of DenseNets are older than their layers' names.
            state[re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)] = tensor
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{weights} do not fit: {reason}; leave image_size as it is") from None


def trained_transforms(weights: str) -> Any:
    """What images go through before a network with these trained weights, as torchvision has it."""
    return get_weight(weights).transforms()


def inceptionv1(num_classes: int = 10, in_channels: int = 3, image_size: int = 224) -> nn.Module:
    """torchvision's GoogLeNet with BatchNorm and without the two auxiliary heads.

    `torchvision/googlenet` is the same network where it is to start from trained weights: its
    input is then rescaled as they need it.

    Source: Szegedy et al. 2015, https://arxiv.org/abs/1409.4842.
    """
    network = googlenet(num_classes=num_classes, aux_logits=False, init_weights=False)
    if in_channels != 3:
        network.conv1.conv = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    network.input_shape = (in_channels, image_size, image_size)
    return network
