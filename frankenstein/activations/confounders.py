"""What two files of activations are known to share: labels, or features of the stimuli."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from frankenstein.activations.layer import Layer
from frankenstein.activations.saved import Activations, open_activations
from frankenstein.errors import UserError


def read_confounders(path: str | Path) -> Activations:
    """The one array of a file, a row for each example; (N,) whole numbers are classes, as 0 and 1.

    Raises:
        UserError: if it holds several, or classes of which there are nearly as many as examples;
            when it is read, for NaN or Inf.
    """
    saved = open_activations(path, "confounders")
    if len(saved.layers) != 1:
        raise UserError(f"confounders are one array, and {path} holds {', '.join(saved.layers)}")
    ((name, layer),) = saved.layers.items()

    def finite(rows: Tensor) -> Tensor:
        values = layer.read(rows)
        if not values.isfinite().all():
            wrong = (
                (~values.flatten(1).isfinite().all(1)) if values.ndim > 1 else ~values.isfinite()
            )
            raise UserError(
                f"NaN or Inf in the confounders {path}, such as row {int(rows[wrong][0])}; leave "
                "these examples out of all files"
            )
        return values

    saved = replace(saved, layers={name: replace(layer, read=finite)})
    if len(layer.shape) > 1:
        return saved.of()
    values = finite(torch.arange(layer.shape[0]))
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
