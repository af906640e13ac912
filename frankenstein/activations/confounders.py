"""What two files of activations are known to share: labels, or features of the stimuli."""

from collections.abc import Sequence
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


def read_classes(path: str, files: Sequence[Activations]) -> Tensor:  # (N,), int64
    """The class of every row of some files.

    Raises:
        UserError: if it holds anything but a whole number for every row of all.
    """
    saved = open_activations(path, "labels")
    values = saved.read(torch.arange(len(saved)))
    z = next(iter(values.values()))
    whole = len(values) == 1 and z.ndim == 1 and bool((z == z.round()).all())
    if not whole or any(len(file) != len(z) for file in files):
        raise UserError(
            f"{path} holds {', '.join(f'{s} {tuple(one.shape)}' for s, one in values.items())}; "
            "‹labels› are one array (N,), a whole number for every row of both files"
        )
    return z.unique(return_inverse=True)[1]
