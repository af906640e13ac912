"""Rows of a matrix that are done, kept so that an interrupted run can go on."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frankenstein.errors import UserError
from frankenstein.files import write_whole

CELLS = "cells"
Row = dict[str, dict[str, float]]  # receiver layer -> {"accuracy": ..., ...}
_IDLE = ("resume", "quiet", "out_dir", "run_name", "data_root")  # they do not change a number


class Cells:
    """A folder of small files, one for each (kind, seed, sender layer), each written whole."""

    def __init__(
        self, folder: Path, values: Mapping[str, Any], networks: Mapping[str, str]
    ) -> None:
        """Open or make it.

        Raises:
            UserError: if the rows that lie there were made with other options.
        """
        self.folder = folder / CELLS
        self.folder.mkdir(exist_ok=True)
        said = {key: value for key, value in values.items() if key not in _IDLE} | dict(networks)
        origin = self.folder / "origin.json"
        if origin.exists():
            for key, before in json.loads(origin.read_text(encoding="utf-8")).items():
                if said.get(key) != before:
                    raise UserError(
                        f"the unfinished run in {folder} has {key} {before!r}, this one "
                        f"{said.get(key)!r}; resume it with its own options, or choose --run-name"
                    )
        write_whole(origin, json.dumps(said))

    def __contains__(self, key: tuple[str, int, str]) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: tuple[str, int, str]) -> Row:
        return json.loads(self._path(key).read_text(encoding="utf-8"))

    def __setitem__(self, key: tuple[str, int, str], row: Row) -> None:
        write_whole(self._path(key), json.dumps(row))

    def _path(self, key: tuple[str, int, str]) -> Path:
        kind, seed, layer = key
        return self.folder / f"{kind}-{seed}-{layer}.json"
