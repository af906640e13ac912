"""Activations as a value: layers that are already there, of the same examples, by name."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frankenstein.activations.checks import ActivationsWarning, check_layers
from frankenstein.activations.formats import NoActivations, contents_of
from frankenstein.activations.layer import Layer, in_memory
from frankenstein.errors import FileError, UserError, did_you_mean
from frankenstein.source import parse_source

_LABELS = {"label", "labels", "class", "classes", "target", "targets", "y"}
ROWS, CLASSES = "index", "labels"  # what `extract` writes beside layers: which examples they are
_OF_NETWORKS = {".pt", ".pth", ".ckpt", ".bin", ".safetensors"}  # names that both have


@dataclass(frozen=True, eq=False)
class Activations:
    """Layers of the same N examples, read in blocks of rows: it stands where a network can.

    Of maps the units are on the second axis, (N, C, H, W), and of tokens on the last, (N, T, C).
    """

    layers: Mapping[str, Layer]
    source: str = "the activations"  # the file that they are in
    role: str = "subject"  # "sender", "receiver": what tables and numbers call it
    others: Mapping[str, str] = field(default_factory=dict)  # what else is in the file -> why
    facts: Mapping[str, Any] = field(default_factory=dict)  # how they were made, if it is known
    labels: Tensor | None = None  # (N,), the class of each example, if they lie beside the layers

    def __len__(self) -> int:
        """How many examples."""
        return _rows(self.layers)

    def read(self, rows: Tensor) -> dict[str, Tensor]:  # {layer: (n, ...)}, float32 or float64
        """Rows by their numbers, (n,), of every layer; they alone are in memory."""
        return {name: layer.read(rows) for name, layer in self.layers.items()}

    def of(self, wanted: str | Sequence[str] | None = None) -> "Activations":
        """Layers by name or glob, in that order; None for all that have an axis of units.

        An array of one axis, (N,), is a layer of one unit if it is named, and else left out.

        Raises:
            UserError: if there is none of a name, or layers hold different numbers of examples.
        """
        words = [wanted] if isinstance(wanted, str) else wanted
        chosen = self._named(words) if words is not None else self._telling()
        layers = {name: _with_units(layer) for name, layer in chosen.items()}
        check_layers({name: one.shape for name, one in layers.items()}, self.source)
        labels = self._labels(_rows(layers)) if self.labels is None else self.labels
        return replace(self, layers=layers, others={}, labels=labels)

    @property
    def bytes_of_one(self) -> int:
        """What one example takes, in float32."""
        return 4 * sum(prod(layer.shape[1:]) for layer in self.layers.values())

    @cached_property
    def sha256(self) -> str:
        """Fingerprint of the file; it is read through for it."""
        with Path(self.source).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def record(self) -> dict[str, Any]:
        """What `run.json` and pages say of it."""
        return {
            "file": self.source,
            "sha256": self.sha256,
            "examples": len(self),
            "layers": {name: list(layer.shape[1:]) for name, layer in self.layers.items()},
            "made_by": dict(self.facts),
        }

    def _labels(self, n: int) -> Tensor | None:
        """The array of one axis that is called labels, or likewise, if it has n whole numbers."""
        for name, layer in self.layers.items():
            if name.rpartition("/")[2].lower() in _LABELS and layer.shape == (n,):
                values = layer.read(torch.arange(n))
                return values.long() if bool((values == values.round()).all()) else None
        return None

    def _named(self, words: Sequence[str]) -> dict[str, Layer]:
        chosen: dict[str, Layer] = {}
        for word in words:
            if word in self.others:
                raise FileError(f"{word!r} in {self.source} {self.others[word]}")
            names = [word] if word in self.layers else self._matching(word)
            if not names:
                near = did_you_mean(word, self.layers) or f"; it has {', '.join(self.layers)}"
                raise UserError(f"{self.source} has no layer {word!r}{near}")
            chosen |= {name: self.layers[name] for name in names}
        return chosen

    def _matching(self, pattern: str) -> list[str]:
        with_units = {name for name, layer in self.layers.items() if len(layer.shape) > 1}
        return [s for s in self.layers if s in with_units and fnmatchcase(s, pattern)]

    def _telling(self) -> dict[str, Layer]:
        telling = {name: self.layers[name] for name in self._matching("*")}
        beside = {ROWS, CLASSES} if telling else set()  # known by name, and no mistake
        one_axis = dict.fromkeys(self.layers.keys() - telling.keys() - beside, "has one axis only")
        left_out = "; ".join(f"{name!r} {why}" for name, why in {**one_axis, **self.others}.items())
        if not telling:
            what = left_out or "it is empty"
            raise FileError(
                f"{self.source} holds no layer (N, ...), a row for each example: {what}"
            )
        if left_out:
            warnings.warn(
                f"left out of {self.source}: {left_out}", ActivationsWarning, stacklevel=3
            )
        return telling


def open_activations(path: str | Path, role: str = "subject") -> Activations:
    """The layers in a file: .npy, .npz, .safetensors, .pt (a tensor or {layer: tensor}) or .h5.

    The layer of an array or tensor alone is called as the file. Nothing is read yet but what the
    file says of itself, and nothing in it is executed. Rows are read when they are asked for;
    compressed arrays of up to 1 GB are taken into memory, for no block of them can be read.

        saved = open_activations("v1.npz")
        len(saved), list(saved.layers), saved.read(torch.arange(100))["early"]

    Raises:
        FileError: if it is absent or damaged, or holds something else, which is named.
    """
    found = contents_of(Path(path))
    made = Activations(found.layers, str(path), role, found.others, found.facts)
    if not found.layers:
        made.of()  # says what it holds instead
    return made


def activations_of(given: Any, role: str = "subject") -> Activations | None:
    """Activations that are given in Python: as such, as an array, or as {layer: array}.

    None of anything else, such as a network.

    Raises:
        ShapeError: for an array that holds no numbers.
    """
    if isinstance(given, Activations):
        return replace(given, role=role)
    if isinstance(given, Mapping):
        return Activations({str(name): in_memory(one) for name, one in given.items()}, role=role)
    if isinstance(given, Tensor) or hasattr(given, "__array__"):
        return Activations({role: in_memory(given)}, role=role)
    return None


def activations_at(source: str, role: str = "subject") -> Activations | None:
    """The activations in a file that stands where a network may; None if it names a network.

    Raises:
        FileError: if it can hold nothing but activations, and they cannot be read.

    >>> activations_at("tiny10#0")
    """
    path = Path(source)
    if not path.is_file() or parse_source(source).kind != "file":
        return None
    try:
        return open_activations(path, role)
    except NoActivations:
        return None
    except FileError:
        if path.suffix in _OF_NETWORKS:
            return None  # who opens a network says what is wrong with it
        raise


def _rows(layers: Mapping[str, Layer]) -> int:
    return next(iter(layers.values())).shape[0]


def _with_units(layer: Layer) -> Layer:
    if len(layer.shape) > 1:
        return layer
    return Layer((*layer.shape, 1), lambda rows: layer.read(rows)[:, None])
