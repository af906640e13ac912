"""Modules as exported programs (.pt2), written and read so that nothing in them can execute code.

torch.export.load unpickles example inputs, constants and some weights, evaluates sizes that are
written as text, runs whatever guards a file holds, and calls any function of torch that a step
names. What is written here has none of that, and what has is refused before torch reads it.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frankenstein.errors import FileError
from frankenstein.files import write_whole
from frankenstein.records import json_record

_RECORD = "extra/frankenstein.json"
_PROGRAM, _PICKLED = "models/model.json", "data/sample_inputs/model.pt"
_MEMBER = re.compile(
    r"(data/(weights/(weight_\d+|model_weights_config\.json)|constants/(tensor_\d+|"
    rf"model_constants_config\.json))|{_PICKLED}|{_PROGRAM}|{_RECORD}|byteorder|archive_format|"
    r"archive_version|\.data/(version|serialization_id))"
)
_WORD = re.compile(r"[\w.+]*", re.ASCII)  # names only: they become Python
_SIZE = re.compile(r"[\w+*(), -]{1,200}", re.ASCII)  # is evaluated
_SIZE_WORD = re.compile(r"[su]?\d+|Integer|Add|Mul|FloorDiv|Mod|Max|Min")
_SYMBOL = re.compile(r"Symbol\('([su]\d+)'(, \w+=True)*\)", re.ASCII)
_STEP = re.compile(
    r"torch\.ops\.aten\.(\w+)\.(\w+)|torch\.sym_(not|max|min|int|float)|"
    r"_operator\.(getitem|add|sub|mul|floordiv|mod|neg|eq|ne|lt|le|gt|ge)"
)
_WORDS_OF_STEPS = {"approximate", "equation", "indexing", "ord", "reduce", "rounding_mode", "mode"}
_NOT_NEEDED = {"metadata", "guards_code", "treespec_namedtuple_fields"}
_NOT_READ = {"as_operator", "as_custom_obj", "as_graph"}  # kinds of arguments
_TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}


class Exported(nn.Module):
    """An exported program as a module, frozen and at evaluation, as it was exported."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.steps = program.module(check_guards=False).requires_grad_(False)
        self.train(False)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the program gives."""
        return self.steps(*args, **kwargs)

    def train(self, mode: bool = True) -> "Exported":
        """Nothing: an exported program has no other mode."""
        self.training = False
        return self


def save_exported(
    path: str | Path,
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    sizes: Any,  # dynamic_shapes of torch.export.export
    facts: Mapping[str, Any],
) -> Path:
    """Write a module as an exported program with a record of facts, and nothing that is pickled.

    Raises:
        FileError: if torch cannot export it, or it has steps other than those of aten.
    """
    module(*args, **kwargs)  # halves prove themselves on their first batch, which export cannot
    content = io.BytesIO()
    try:
        program = torch.export.export(module, args, dict(kwargs), dynamic_shapes=sizes)
        torch.export.save(program, content)
    except Exception as error:  # torch raises whatever its parts raise
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"torch cannot export this network: {reason}; take .safetensors") from error
    return write_whole(path, _harmless(content.getvalue(), path, facts)[0])


def open_exported(path: str | Path) -> tuple[Exported, dict[str, Any]]:
    """A module out of a file that `save_exported` wrote, and its facts; nothing is unpickled.

    Raises:
        FileError: if the file is absent, damaged, or holds what could execute code.
    """
    if not Path(path).is_file():
        raise FileError(f"no file {path}; is the path right, and are you in the right folder?")
    content, facts = _harmless(Path(path).read_bytes(), path)
    try:
        return Exported(torch.export.load(io.BytesIO(content))), facts
    except Exception as error:  # a file may say anything to torch
        reason = " ".join(str(error).split())[:200]
        raise FileError(f"{path} is no whole exported program: {reason}; make it anew") from None


def _harmless(
    content: bytes, path: str | Path, facts: Mapping[str, Any] | None = None
) -> tuple[bytes, dict[str, Any]]:
    """The same archive with what is safe alone, and the record; `facts` is a new one.

    It is packed anew, for another reader of archives may see other members than this one.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(one.file_size for one in members) > len(content):
                raise FileError(f"{path} is packed or damaged, as torch writes none; make it anew")
            parts = {one.filename.partition("/")[2]: archive.read(one) for one in members}
    except FileError:
        raise
    except Exception as error:  # damage can do anything to an archive
        raise FileError(f"{path} is no exported program ({error}); make it anew") from None
    if odd := [name for name in parts if not _MEMBER.fullmatch(name)]:
        raise FileError(f"{path} holds {odd[0]!r}, which may execute code; it is not read")
    if _PROGRAM not in parts or (facts is None and _RECORD not in parts):
        raise FileError(f"{path} is no graft that frankenstein exported; give one of its files")
    parts[_PICKLED] = b""
    for name in parts:
        if name.endswith("_config.json"):
            config = json_record(parts[name], f"{name} in {path}")
            said = config.get("config")
            plain = isinstance(said, dict) and all(
                isinstance(one, dict) and one.get("use_pickle") is False for one in said.values()
            )
            if not plain or not all(map(_WORD.fullmatch, _strings(config))):
                raise FileError(f"{path} has tensors that are pickled, which may execute code")
    program = json_record(parts[_PROGRAM], f"{_PROGRAM} in {path}")
    _strip(program)
    _check(program, path)
    parts[_PROGRAM] = json.dumps(program).encode()
    record = dict(facts) if facts is not None else json_record(parts[_RECORD], f"record in {path}")
    parts[_RECORD] = json.dumps(record).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(f"graft/{name}"), part)
    return packed.getvalue(), record


def _strip(one: Any) -> None:
    """Take off what is not needed to run it: where steps came from, guards in Python."""
    if isinstance(one, dict):
        for key in one.keys() & _NOT_NEEDED:
            one[key] = type(one[key])()
        if isinstance(calls := one.get("module_call_graph"), list):
            one["module_call_graph"] = [
                x for x in calls if isinstance(x, dict) and x.get("fqn") == ""
            ]
    for part in one.values() if isinstance(one, dict) else one if isinstance(one, list) else ():
        _strip(part)


def _check(one: Any, path: str | Path, key: str = "") -> None:
    """Refuse a step that is none of aten, and every text that is more than a name or a size.

    Raises:
        FileError: with what it is.
    """
    if isinstance(one, dict):
        for name, part in one.items():
            _check(name, path)
            _check(part, path, name)
    elif isinstance(one, list):
        for part in one:
            _check(part, path, key)
    elif isinstance(one, str):
        if key == "target":
            safe = _is_safe_step(one)
        elif key == "expr_str":
            size = _SYMBOL.sub(r"\1", one)
            safe = _SIZE.fullmatch(size) is not None and "**" not in size
            safe &= all(_SIZE_WORD.fullmatch(word) for word in re.findall(r"\w+", size))
        elif key in ("in_spec", "out_spec"):
            safe = _is_safe_tree(one)
        else:  # the words of a step, such as "tanh", do nothing but for those that are refused
            safe = _WORD.fullmatch(one) is not None or key == "as_string"
            safe &= one not in _NOT_READ
        if not safe:
            raise FileError(f"{path} has {one[:80]!r} as {key or 'a name'}, which may execute code")


def _is_safe_step(target: str) -> bool:
    """Whether it is arithmetic, or a function of aten that takes no text such as a file's name."""
    found = _STEP.fullmatch(target)
    if found is None or found[1] is None:
        return found is not None
    function = getattr(getattr(torch.ops.aten, found[1], None), found[2], None)
    if function is None:
        return False
    taken = [x.name for x in function._schema.arguments if "str" in str(x.type)]
    return set(taken) <= _WORDS_OF_STEPS


def _is_safe_tree(spec: str) -> bool:
    """Whether arguments are put together of tuples, lists and dicts alone."""
    try:
        return all(one in _TREES for one in _types(json.loads(spec)))
    except (ValueError, RecursionError):
        return False


def _types(one: Any) -> Iterator[Any]:
    if isinstance(one, dict):
        yield one.get("type")
    for part in one.values() if isinstance(one, dict) else one if isinstance(one, list) else ():
        yield from _types(part)


def _strings(one: Any) -> Iterator[str]:
    if isinstance(one, str):
        yield one
    elif isinstance(one, dict):
        yield from one
    for part in one.values() if isinstance(one, dict) else one if isinstance(one, list) else ():
        yield from _strings(part)
