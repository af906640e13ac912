"""Networks whose file holds tensors alone, such as Dr. Frankenstein's: what do they hold?"""

import hashlib
import warnings
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from frankenstein.catalog import ARCHITECTURES
from frankenstein.files import FileError
from frankenstein.pickles import check_pickled, check_stored
from frankenstein.zoo.build import build_network

STATE_DICTS = (".pt", ".pth")  # how names of such files end


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save(network.state_dict(), path)` wrote, old or new.

    The new format, a zip archive, has checksums, which are checked. The old one, from before
    PyTorch 1.6, has none: a warning says so, once, with the sha256 that the file has.

    Raises:
        FileError: if it is absent, damaged, or holds anything but named tensors. Nothing in it can
            execute code.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    archived = zipfile.is_zipfile(path)
    try:
        check_pickled(path)
        if archived:  # torch itself compares no checksum
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"the checksum of {damaged} does not fit")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch guesses aloud what a strange file may be
            # Said here, weights_only holds whatever TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is.
            content = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(content, dict):
            check_stored(path, (one for one in content.values() if isinstance(one, Tensor)))
    except Exception as error:  # damage can do anything to a pickle
        raise FileError(
            f"{path} cannot be read ({type(error).__name__}): it is damaged or holds more than "
            "tensors; save network.state_dict() alone"
        ) from None
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        what = type(content).__name__
        what += f" of {_few(list(map(str, content)))}" if isinstance(content, dict) else ""
        raise FileError(f"{path} holds a {what}, not named tensors; save network.state_dict()")
    if not archived:
        if broken := [key for key, value in content.items() if not value.isfinite().all()]:
            raise FileError(f"{path} is damaged: NaN or Inf in {_few(broken)}; get it anew")
        _tell_of_no_checksum(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return {key: value.detach() for key, value in content.items()}


def describe(
    path: str | Path, tensors: Mapping[str, Tensor], architecture: str | None
) -> tuple[str, int, int]:
    """Architecture, classes and channels of the network that these tensors are the state of.

    They are told from names and shapes; the path is for messages only.

    Raises:
        FileError: if they are not the state of a network of the zoo, or of that architecture.
    """
    guesses = _guesses(tensors) if architecture is None else [architecture]
    for name in guesses:
        sizes = _fit(name, tensors)
        if sizes is not None:
            return name, *sizes
    shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items()]
    raise FileError(
        f"{path} holds no {architecture or 'network of the zoo'}: it has {len(tensors)} tensors, "
        f"{_few(shapes)}; "
        + (
            f"known by their shapes: {', '.join(name for name in ARCHITECTURES if '/' not in name)}"
            if architecture is None
            else "name another network, or none"
        )
    )


@cache  # once for every file, however often it is read
def _tell_of_no_checksum(path: Path, sha256: str) -> None:
    warnings.warn(
        f"{path} has no checksum, as files from before PyTorch 1.6 have none: damage to a number "
        f"in it cannot be seen. Compare its sha256, {sha256}, with that of who published it",
        stacklevel=2,
    )


def _guesses(tensors: Mapping[str, Tensor]) -> list[str]:
    width = next((len(tensor) for tensor in tensors.values() if tensor.ndim == 4), 0)
    names = [name.replace("<k>", str(max(1, width // 16))) for name in ARCHITECTURES]
    return [name for name in names if "<" not in name]


def _fit(name: str, tensors: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """The classes and channels with which a network has just these tensors; None if there are none.

    A model is built, and its first and last layer, compared with these, tell the numbers.
    """
    model = build_network(name, num_classes=10, in_channels=3, init_seed=0).state_dict()
    if model.keys() != tensors.keys():
        return None
    weights = [key for key in model if key.endswith(".weight")]
    first, last = weights[0], weights[-1]
    if min(tensors[first].ndim, tensors[last].ndim) < 2:
        return None
    classes = len(tensors[last])
    channels = tensors[first].shape[1] * 3 // model[first].shape[1]
    if min(classes, channels) < 1:
        return None
    model = build_network(name, classes, channels, init_seed=0).state_dict()
    same = all(model[key].shape == tensor.shape for key, tensor in tensors.items())
    return (classes, channels) if same else None


def _few(words: list[str]) -> str:
    """The first words and the last."""
    return ", ".join(words if len(words) < 5 else [*words[:3], "...", words[-1]]) or "none"
