"""What a run's networks are, as `run.json` and reports say it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from frankenstein.zoo import load_network, network_sha256, read_card

SIDES = ("sender", "receiver", "subject")  # options that may name a network's file


def cards_of(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each network that a run was given, by whose it is: file, sha256, and all of its card."""
    named = files_of(options)
    files = {whose: _file(name) for whose, name in named.items()}
    model = options.get("model")
    return {
        whose: {
            "file": named[whose],
            "sha256": network_sha256(load_network(file, model)),
            **asdict(read_card(file, model)),
        }
        for whose, file in files.items()
        if file.is_file()  # else it is the folder of a run, whose own record says this
    }


def files_of(options: Mapping[str, Any]) -> dict[str, str]:
    """The files of a run's networks by whose they are; those of --more by their own names."""
    files = {side: options[side] for side in SIDES if options.get(side)}
    for file in options.get("more") or []:
        name = short_name(file)
        names = [name, *(f"{name}-{number}" for number in range(2, len(files) + 3))]
        files[next(name for name in names if name not in files)] = file
    return files


def short_name(file: str) -> str:
    """What names of runs call a saved network: its file, or its folder if it is the only one.

    >>> short_name("Tiny10/CIFAR10/in0-gn0/110000.pt")  # a snapshot says its step only
    'in0-gn0-110000'
    """
    path = Path(file)
    if path.stem.isdecimal() and path.parent.name:
        return f"{path.parent.name}-{path.stem}"
    return path.parent.name if path.stem == "network" else path.stem


def _file(name: str) -> Path:
    inside = Path(name) / "network.safetensors"  # of a run of train.py
    return inside if inside.is_file() else Path(name)
