"""What travels with the package, in a clone or a wheel: its configs and small networks."""

from pathlib import Path

FOLDERS = ("configs", "model_weights")
_HERE = Path(__file__).parent
_ROOTS = (_HERE / "shipped", _HERE.parent)  # of a wheel, of a clone


def shipped(path: str | Path) -> Path:
    """The path itself; where nothing lies there, the file of that name that came with the package.

    >>> shipped("configs/studies/demo.yaml").is_file()
    True
    >>> shipped("no/such/file").as_posix()
    'no/such/file'
    """
    path = Path(path)
    if path.exists() or path.parts[:1] not in [(folder,) for folder in FOLDERS]:
        return path
    return next((root / path for root in _ROOTS if (root / path).exists()), path)
