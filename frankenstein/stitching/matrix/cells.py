"""Rows of a matrix that are done, kept so that an interrupted run can go on."""

import json
from pathlib import Path

from frankenstein.files import FileError, read_sealed, write_sealed

CELLS = "cells"
Row = dict[str, dict[str, float]]  # receiver layer -> {"accuracy": ..., ...}


class Cells:
    """A folder of small files, one for each (kind, seed, sender layer), whole and with a checksum.

    Reading one that is damaged raises a FileError.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make it."""
        self.folder = folder / CELLS
        self.folder.mkdir(exist_ok=True)

    def __contains__(self, key: tuple[str, int, str]) -> bool:
        return self._path(key).exists()

    def __getitem__(self, key: tuple[str, int, str]) -> Row:
        path = self._path(key)
        content = read_sealed(path)
        try:
            return json.loads(content)
        except ValueError:
            raise FileError(f"{path} is no row of a matrix; delete it") from None

    def __setitem__(self, key: tuple[str, int, str], row: Row) -> None:
        write_sealed(self._path(key), json.dumps(row).encode())

    def _path(self, key: tuple[str, int, str]) -> Path:
        kind, seed, layer = key
        return self.folder / f"{kind}-{seed}-{layer}.json"
