"""What two files of activations are known to share: labels, or features of the stimuli."""

from dataclasses import replace
from pathlib import Path

import torch

from frankenstein.activations.layer import Layer
from frankenstein.activations.saved import Activations, open_activations
from frankenstein.errors import UserError


def read_confounders(path: str | Path) -> Activations:
    """The one array of a file, a row for each example; (N,) whole numbers are classes, as 0 and 1.

    Raises:
        UserError: if it holds several, or classes of which there are nearly as many as examples.
    """
    saved = open_activations(path, "confounders")
    if len(saved.layers) != 1:
        raise UserError(f"confounders are one array, and {path} holds {', '.join(saved.layers)}")
    ((name, layer),) = saved.layers.items()
    if len(layer.shape) > 1:
        return saved.of()
    values = layer.read(torch.arange(layer.shape[0]))
    if (values != values.round()).any():
        return saved.of([name])
    classes, which = values.unique(return_inverse=True)
    k = len(classes)
    if k > len(values) // 2:
        raise UserError(
            f"{path} holds {len(values)} whole numbers, {k} of them different, too many for "
            "classes; save them as (N, 1) if they are amounts"
        )
    one_hot = Layer((len(values), k), lambda rows: torch.eye(k)[which[rows]])
    return replace(saved, layers={name: one_hot})
