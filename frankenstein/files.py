"""Files that are whole or absent: written beside their target, synced, then renamed."""

import errno
import glob
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor, nn

from frankenstein.errors import FileError
from frankenstein.records import check_fields, json_record

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

UNFINISHED = ".unfinished"  # ends the names of files that a kill left behind
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_LONGEST = 4_000_000  # bytes of what a safetensors file says of its tensors: of 30,000 of them


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Write a file so that its name never stands for half of it; returns the path."""
    with writing_whole(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def writing_whole(path: str | Path) -> Iterator[BinaryIO]:
    """A new file to write into, which has its name only once the block is done.

    Raises:
        FileError: if there is no such folder, or the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileError(f"no folder {path.parent} to write {path.name} into; make it first")
    try:
        # Beside the target, because only within one file system is a rename one step.
        handle, temporary = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                with suppress(OSError):  # a file system without locks
                    _lock(file)
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise cannot_write(path, error) from error


def sweep_halves(path: Path) -> None:
    """Remove what kills have left of a file that was being written, and nothing that still is."""
    for half in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED}"):
        if not half.is_file():
            continue
        with suppress(OSError), half.open("rb") as file:
            if _lock(file):
                half.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Hold a file until it is closed, or its process ends; False where there are no locks."""
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fcntl is not None


def cannot_write(path: str | Path, error: OSError) -> FileError:
    """The error of a full or read-only disk, in one line that names what could not be written."""
    mend = "allow writing there" if error.errno in _FORBIDDEN else "make room there"
    if error.errno == errno.ENOENT:
        mend = "put its folder back"  # it was there when the file was begun
    return FileError(
        f"cannot write {path}: {error.strerror or error}; {mend} or choose another folder"
    )


def write_sealed(path: str | Path, content: bytes) -> Path:
    """Write a file whole, with the checksum of its content behind it, for `read_sealed`."""
    return write_whole(path, content + _seal(content))


def read_sealed(path: str | Path) -> bytes:
    """The content of a file that `write_sealed` wrote.

    Raises:
        FileError: if it is absent, or its checksum does not fit its content.
    """
    path = Path(path)
    if not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    whole = path.read_bytes()
    content, seal = whole[: -len(_seal(b""))], whole[-len(_seal(b"")) :]
    if seal != _seal(content):
        raise FileError(
            f"{path} is damaged: its checksum does not fit its content; delete it: ‹resume› then "
            "makes it anew"
        )
    return content


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Fingerprint of named tensors: names, types, shapes and every byte of their values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Save tensors and a flat record of facts as one safetensors file with its own checksum."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = json.loads(json.dumps(facts))  # as they will be read, so that the checksum fits
    record = json.dumps({**facts, "sha256": _checksum(tensors, facts)}, sort_keys=True)
    return write_whole(path, save(tensors, metadata={"frankenstein": record}))


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file that `save_tensors` wrote. Nothing in it can execute code.

    Raises:
        FileError: if it is absent, not such a file, or its checksum does not fit its content.
    """
    tensors, facts = read_safetensors(path)
    if facts is None:
        raise FileError(
            f"{path} was not written by frankenstein: it has no record of what it holds"
        )
    return tensors, facts


def read_safetensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Tensors of anybody's safetensors file; and the facts, if `save_tensors` wrote it, else None.

    Raises:
        FileError: if it is absent, not such a file, or its checksum does not fit its content.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder, and a file is wanted; name one inside it")
    if not path.is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    try:
        with path.open("rb") as file:
            if int.from_bytes(file.read(8), "little") > _LONGEST:
                raise FileError(f"{path} is not a whole safetensors file; make it anew")
        with safetensors.safe_open(path, framework="pt") as file:
            records = file.metadata() or {}
            record = records.get("frankenstein")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, RuntimeError) as error:
        raise FileError(f"{path} is not a whole safetensors file ({error}); make it anew") from None
    if record is None:
        if any('"sha256"' in text for text in records.values()):
            raise FileError(f"{path} is damaged: its record has lost its name; make it anew")
        return tensors, None
    facts = json_record(record.encode(), f"the record in {path}")
    expected = facts.pop("sha256", None)
    if _checksum(tensors, facts) != expected:
        raise FileError(f"{path} is damaged: its checksum does not fit its content; make it anew")
    return tensors, facts


def facts_of(path: str | Path) -> dict[str, Any]:
    """What was saved beside the tensors of a file about their origin; nothing if nothing was.

    Raises:
        FileError: as `load_tensors`, or if it is no mapping.
    """
    facts = load_tensors(path)[1].get("facts", {})
    check_fields({"facts": facts}, {"facts": dict}, f"the record in {path}")
    return facts


def check_sizes(make: Callable[[], nn.Module], tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not the state of a module, before it takes any memory.

    What is to be made is read from a file's record, which may say anything.

    Raises:
        RuntimeError: with the names and sizes that do not fit.
    """
    with torch.device("meta"):
        empty = make()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*copying from a non-meta parameter")
        empty.load_state_dict(tensors)


@contextmanager
def built_from(path: str | Path, what: str) -> Iterator[None]:
    """What a whole file says may still not fit together: then the message names it."""
    try:
        yield
    except Exception as error:  # a record may say anything to a constructor
        reason = " ".join(str(error).split())
        raise FileError(f"{path} does not hold the {what} that it says: {reason}") from None


def _seal(content: bytes) -> bytes:
    return f"\nsha256 {hashlib.sha256(content).hexdigest()}\n".encode()


def _checksum(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> str:
    content = tensors_sha256(tensors) + json.dumps(facts, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
