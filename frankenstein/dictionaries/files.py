"""Dictionaries on disk: a few kilobytes, and what is needed to build them again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from frankenstein.dictionaries.crosscoder import CrosscoderDictionary
from frankenstein.dictionaries.dictionary import Dictionary
from frankenstein.files import (
    FileError,
    built_from,
    check_sizes,
    facts_of,
    load_tensors,
    save_tensors,
)

Made = TypeVar("Made", Dictionary, CrosscoderDictionary)


def save_dictionary(
    path: str | Path, dictionary: Dictionary, facts: Mapping[str, Any] | None = None
) -> Path:
    """Save a dictionary as safetensors, with facts such as the network and layer it is of."""
    record = {"kind": "dictionary", "options": dictionary.options, "facts": dict(facts or {})}
    return save_tensors(path, dictionary.state_dict(), record)


def load_dictionary(path: str | Path) -> Dictionary:
    """A saved dictionary. Nothing in its file can execute code.

    Raises:
        FileError: if the file is absent, damaged or does not hold a dictionary.
    """
    return _opened(path, "dictionary", lambda options: Dictionary(**options))


def save_crosscoder(
    path: str | Path, crosscoder: CrosscoderDictionary, facts: Mapping[str, Any] | None = None
) -> Path:
    """Save a crosscoder as safetensors, with facts such as the networks and layers it is of."""
    record = {"kind": "crosscoder", "options": crosscoder.options, "facts": dict(facts or {})}
    return save_tensors(path, crosscoder.state_dict(), record)


def load_crosscoder(path: str | Path) -> CrosscoderDictionary:
    """A saved crosscoder. Nothing in its file can execute code.

    Raises:
        FileError: if the file is absent, damaged or does not hold a crosscoder.
    """

    def make(options: dict[str, Any]) -> CrosscoderDictionary:
        one, other = options["units"]
        norms = [(torch.zeros(units), torch.ones(())) for units in (one, other)]
        return CrosscoderDictionary(Dictionary(**{**options, "units": one + other}), norms)

    return _opened(path, "crosscoder", make)


def _opened(path: str | Path, kind: str, make: Callable[[dict[str, Any]], Made]) -> Made:
    tensors, record = _held(path, kind)
    with built_from(path, kind):
        check_sizes(lambda: make(record["options"]), tensors)
        made = make(record["options"])
        made.load_state_dict(tensors)
    return made.eval()


def _held(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, record = load_tensors(path)
    if record.get("kind") != kind:
        raise FileError(
            f"{path} does not hold a {kind}; give a file that frankenstein analyze wrote"
        )
    return tensors, record


def dictionary_facts(path: str | Path) -> dict[str, Any]:
    """What was saved with a dictionary or a crosscoder beside it.

    Raises:
        FileError: if the file is absent or damaged.
    """
    return facts_of(path)
