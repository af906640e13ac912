"""What a run's networks are, as `run.json` and reports say it."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from frankenstein.zoo import load_network, network_sha256, read_card

_SIDES = ("sender", "receiver", "subject")  # options that may name a network's file


def cards_of(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each network that a run was given, by whose it is: file, sha256, and all of its card."""
    named = {side: options[side] for side in _SIDES if options.get(side)}
    named |= {f"more {i}": file for i, file in enumerate(options.get("more") or [], start=1)}
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


def _file(name: str) -> Path:
    inside = Path(name) / "network.safetensors"  # of a run of train.py
    return inside if inside.is_file() else Path(name)
