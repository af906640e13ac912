"""Weights out of anybody's file: told by what is in it, never by its name, and put into a network.

    tensors, facts = read_weights("last.ckpt")
    load_weights(network, tensors, "last.ckpt")

Nothing that is read here can execute code.
"""

import argparse
import hashlib
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from frankenstein.errors import counted
from frankenstein.files import FileError, read_safetensors
from frankenstein.pickles import check_pickled, check_stored, is_archive

# Under which trainers file a network's tensors, the likeliest first.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights")
# Those of an exponential moving average, if there is no other.
_AVERAGED = ("state_dict_ema", "model_ema")
_POINTER = b"version https://git-lfs"
# Beside tensors a trainer keeps its arguments and its best score. These can hold them and do no
# more: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch-load-with-weights-only-true
_SCALAR = np.float64(0).__reduce__()[0]  # makes one from its bytes
_HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
]


class WeightsFileWarning(UserWarning):
    """Part of a file of weights was left aside, or damage to it could not be seen."""


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """The named tensors in a file, on the CPU, and the facts that frankenstein wrote beside them.

    The file is safetensors, or what `torch.save` wrote, old or new, of a state dict or of a
    trainer's checkpoint that has one inside. The facts are None unless frankenstein wrote it.
    torch's new format, a zip archive, has checksums, which are checked. The old one, from before
    PyTorch 1.6, has none: a warning says so, once, with the sha256 that the file has.

    Raises:
        FileError: if it is absent, damaged, or holds anything else, which is named.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder, and a file is wanted; name one inside it")
    if not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    with path.open("rb") as file:
        head = file.read(300)
    if head.startswith(_POINTER):
        raise FileError(
            f"{path} is a pointer of git-LFS, not the file itself; get it by `git lfs pull`"
        )
    if head.startswith(b"\x93NUMPY"):
        raise FileError(f"{path} is an array of NumPy, which may be activations, and no network")
    if head[257:262] == b"ustar":
        raise FileError(f"{path} is a tar archive; unpack it and name the file of weights inside")
    if _is_safetensors(path, head):
        return read_safetensors(path)
    return _tensors_in(path, _unpickled(path)), None


def load_weights(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: str | Path,
    title: str,  # what messages call the network
) -> None:
    """Put tensors into a network, under its own names, whatever a wrapper has put before these.

    Raises:
        FileError: if some are missing or left over, have other sizes, are complex, or hold NaN;
            they are named and counted.
    """
    own = network.state_dict()
    named, rest = named_as(own, tensors)
    check_fit(own, named, path, title)
    check_finite(network, named, path)
    network.load_state_dict(named)
    if rest:
        warnings.warn(
            f"{path} holds {counted(len(rest), 'tensor')} beside the network's, which are left "
            "aside: "
            f"{few(rest)}",
            WeightsFileWarning,
            stacklevel=2,
        )


def named_as(
    own: Iterable[str], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors by the names that a network has for its own: a wrapper's prefix taken off.

    And the names of those that do not begin so, as of what a task of Lightning has beside its
    network. A prefix is taken off only where more tensors then have names of the network's.

    >>> named_as(["0.weight"], {"module.0.weight": torch.zeros(1), "metric.sum": torch.zeros(1)})
    ({'0.weight': tensor([0.])}, ['metric.sum'])
    """
    known = set(own)
    found = Counter(
        prefix for key in tensors for prefix in _prefixes(key) if key.removeprefix(prefix) in known
    )
    best = max(found, key=lambda prefix: (found[prefix], -len(prefix)), default="")
    if found[best] <= len(known & tensors.keys()):
        best = ""
    return (
        {key.removeprefix(best): one for key, one in tensors.items() if key.startswith(best)},
        [key for key in tensors if not key.startswith(best)],
    )


def _prefixes(key: str) -> list[str]:
    """Of "a.b.c": "a." and "a.b."; three at most."""
    parts = key.split(".", 3)
    return [".".join(parts[:depth]) + "." for depth in range(1, len(parts))]


def check_fit(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: str | Path, title: str
) -> None:
    """Refuse tensors that are not just those of a network, of its sizes and kinds.

    Raises:
        FileError: with what is missing, left over, or of another size.
    """
    missing = [key for key in own if key not in tensors]
    unknown = [key for key in tensors if key not in own]
    told = {
        f"lacks {len(missing)} of its {len(own)} tensors": missing,
        f"holds {counted(len(unknown), 'tensor')} that it has not": unknown,
    }
    if missing or unknown:
        found = " and ".join(f"{text} ({few(keys)})" for text, keys in told.items() if keys)
        other = "; it may be of another network, or activations" if len(missing) == len(own) else ""
        raise FileError(f"{path} does not fit {title}: it {found}{other}")
    if odd := [key for key in own if not _is_dense(tensors[key])]:
        raise FileError(f"{path} has sparse or nested tensors ({few(odd)}); save dense ones")
    wrong = [key for key, tensor in own.items() if tensor.shape != tensors[key].shape]
    if wrong and is_head(own, wrong):
        theirs, ours = len(tensors[wrong[0]]), len(own[wrong[0]])
        raise FileError(
            f"{path} does not fit {title}: its head is of another size, {wrong[0]} gives {theirs} "
            f"answers and the network's {ours}"
        )
    if wrong:
        shapes = [f"{key} {tuple(tensors[key].shape)} not {tuple(own[key].shape)}" for key in wrong]
        raise FileError(
            f"{path} does not fit {title}: {counted(len(wrong), 'tensor')} of other "
            f"sizes ({few(shapes)}); these are weights of another width or depth: name a function "
            "that makes it"
        )
    for what, odd in {
        "complex numbers": [key for key in own if tensors[key].is_complex()],
        "quantized numbers": [
            key
            for key, tensor in own.items()
            if tensor.is_floating_point()
            and not (tensors[key].is_floating_point() or tensors[key].is_complex())
        ],
        "fractions or Inf for whole numbers": [
            key
            for key, tensor in own.items()  # who halves all tensors halves BatchNorm's counts, too
            if not tensor.is_floating_point()
            and tensors[key].is_floating_point()
            and not (tensors[key] == tensors[key].long()).all()
        ],
    }.items():
        if odd:
            raise FileError(
                f"{path} has {what} in {counted(len(odd), 'tensor')} ({few(odd)}), not weights"
            )


def _is_dense(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_nested


def is_head(own: Mapping[str, Tensor], wrong: list[str]) -> bool:
    """Whether tensors of other sizes are those of the last layer, which says the classes."""
    matrices = [key for key, tensor in own.items() if tensor.ndim > 1]
    last = matrices[-1].rpartition(".")[0] if matrices else ""
    return bool(wrong) and all(key.rpartition(".")[0] == last for key in wrong)


def check_finite(network: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuse NaN, weights that are infinite, and what becomes so in the network's own types.

    A buffer, such as a mask, may be infinite.

    Raises:
        FileError: if there are any.
    """
    own, parameters = network.state_dict(), dict(network.named_parameters())

    def is_broken(key: str, tensor: Tensor) -> bool:
        infinite = tensor.to(own[key].dtype).isinf() if key in own else tensor.isinf()
        allowed = False if key in parameters else tensor.isinf()
        return bool(tensor.isnan().any() or (infinite & ~torch.as_tensor(allowed)).any())

    broken = [key for key, x in tensors.items() if x.is_floating_point() and is_broken(key, x)]
    if broken:
        raise FileError(
            f"{path} has NaN or Inf in {counted(len(broken), 'tensor')} ({few(broken)}): its "
            "training went "
            "astray, or it is damaged; take an earlier checkpoint"
        )


def few(words: Iterable[str]) -> str:
    """The first words and the last."""
    words = list(words)
    return ", ".join(words if len(words) < 5 else [*words[:3], "...", words[-1]]) or "none"


def _is_safetensors(path: Path, head: bytes) -> bool:
    """Whether it begins as such a file does; what can be nothing else is told by its name."""
    size = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and size <= path.stat().st_size:
        return True
    pickled = head[:2] == b"PK" or head[:1] == b"\x80"
    return not pickled and path.suffix == ".safetensors"


def _unpickled(path: Path) -> Any:
    archived = is_archive(path)
    try:
        check_pickled(path)
        if archived:  # torch itself compares no checksum
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"the checksum of {damaged} does not fit")
                if any(name.endswith(".npy") for name in archive.namelist()):
                    raise FileError(f"{path} holds arrays of NumPy, not the tensors of a network")
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")  # torch guesses aloud what a strange file may be
            # Said here, weights_only holds whatever TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is.
            content = torch.load(path, map_location="cpu", weights_only=True)
        check_stored(path, _all_tensors(content))
    except FileError:
        raise
    except Exception as error:  # damage can do anything to a pickle
        found = re.search(r"GLOBAL ([\w.]+) was not an allowed", str(error))
        raise FileError(
            f"{path} cannot be read ({type(error).__name__}): it is damaged or holds more than "
            f"tensors{f', {found[1]}' if found else ''}; save network.state_dict() alone"
        ) from None
    if not archived:
        tensors = content if isinstance(content, dict) else {}
        broken = [
            key
            for key, value in tensors.items()
            if isinstance(value, Tensor) and not value.isfinite().all()
        ]
        if broken:
            raise FileError(f"{path} is damaged: NaN or Inf in {few(broken)}; get it anew")
    return content


def _tensors_in(path: Path, content: Any) -> dict[str, Tensor]:
    """The named tensors of a state dict, or of the one that a checkpoint has inside."""
    found = content
    for _ in range(2):  # a trainer's checkpoint may hold a wrapper's
        if isinstance(found, dict) and not _are_tensors(found):
            found = next(
                (
                    found[key]
                    for key in (*_WRAPPERS, *_AVERAGED)
                    if isinstance(found.get(key), dict) and found[key]
                ),
                found,
            )
    if not _are_tensors(found):
        what = type(content).__name__
        what += f" of {few(map(str, content))}" if isinstance(content, dict) else ""
        hint = ""
        if isinstance(content, Tensor):
            hint = f"; of shape {tuple(content.shape)}, it may be activations"
        raise FileError(
            f"{path} holds a {what}, not named tensors; save network.state_dict(){hint}"
        )
    outer = [key for key, one in content.items() if isinstance(one, dict) and one]
    averaged = [key for key in _AVERAGED if key in outer]
    if averaged and not set(_WRAPPERS).isdisjoint(outer):
        warnings.warn(
            f"{path} also holds a moving average of the weights ({averaged[0]}), which is left "
            "aside; to use it, save that state dict alone",
            WeightsFileWarning,
            stacklevel=3,
        )
    if not is_archive(path):
        _tell_of_no_checksum(path, hashlib.sha256(path.read_bytes()).hexdigest())
    return {key: value.detach() for key, value in found.items()}


def _all_tensors(content: Any) -> Iterator[Tensor]:
    """Those in dicts, and in dicts in these."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, dict):
        for one in content.values():
            yield from _all_tensors(one)


def _are_tensors(content: Any) -> bool:
    return isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


@cache  # once for every file, however often it is read
def _tell_of_no_checksum(path: Path, sha256: str) -> None:
    warnings.warn(
        f"{path} has no checksum, as files from before PyTorch 1.6 have none: damage to a number "
        f"in it cannot be seen. Compare its sha256, {sha256}, with that of who published it",
        stacklevel=2,
    )
