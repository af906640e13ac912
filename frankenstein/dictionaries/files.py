"""Dictionaries on disk: a few kilobytes, and what is needed to build them again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frankenstein.dictionaries.dictionary import Dictionary
from frankenstein.files import (
    FileError,
    built_from,
    check_sizes,
    facts_of,
    load_tensors,
    save_tensors,
)


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
    tensors, record = load_tensors(path)
    if record.get("kind") != "dictionary":
        raise FileError(
            f"{path} does not hold a dictionary; give a file that frankenstein analyze wrote"
        )
    with built_from(path, "dictionary"):
        check_sizes(lambda: Dictionary(**record["options"]), tensors)
        dictionary = Dictionary(**record["options"])
        dictionary.load_state_dict(tensors)
    return dictionary.eval()


def dictionary_facts(path: str | Path) -> dict[str, Any]:
    """What was saved with a dictionary beside it.

    Raises:
        FileError: if the file is absent or damaged.
    """
    return facts_of(path)
