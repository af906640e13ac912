"""Records that anybody may have edited: JSON and YAML of plain values, read within limits.

Size, depth and count are bounded before anything is made of what a file says, nothing in it is
executed, and a field of the wrong type is told by its name.
"""

import json
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any

import yaml

from frankenstein.errors import FileError

LARGEST = 16_000_000  # bytes of a JSON file
_LARGEST_YAML = 200_000  # bytes: four seconds of reading
_DEEPEST = 40  # lists in lists
_MOST = 100_000  # values of a YAML file, once all its aliases are written out

# What YAML's own dumpers put between quotes if it is text; every other plain word is text. So 1:30
# is no 90, 010 no 8, and 2001-99-99 no date.
_SWITCHES = {True: ("true", "yes", "on"), False: ("false", "no", "off"), None: ("null",)}
_WORDS = {"": None, "~": None} | {
    form: value
    for value, words in _SWITCHES.items()
    for word in words
    for form in (word, word.title(), word.upper())
}
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}
_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
    type(None): "null",
}


def read_file(path: Path, most: int = LARGEST, streams: bool = False) -> bytes:
    """What a file of at most so many bytes holds; `streams`: or a pipe, which may wait.

    Raises:
        FileError: if it is absent, no file, or longer.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode) or not (streams or stat.S_ISREG(mode)):
            what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise FileError(f"{path} is {what}, and a file is wanted")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: of a path with a zero byte
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    if len(content) > most:
        raise FileError(f"{path} is longer than {most:,} bytes, which no such file is")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """The record in a JSON file.

    Raises:
        FileError: as `read_file` and `json_record`.
    """
    return json_record(read_file(path), str(path))


def json_record(content: bytes, where: str) -> dict[str, Any]:
    """What a JSON object holds: plain values, whole numbers of at most 19 digits.

    Raises:
        FileError: if it is none, or is nested too deeply; `where` is what the message calls it.
    """
    try:
        record = json.loads(content.decode(), parse_int=_whole)
        if b"\\ud" in content.lower():
            json.dumps(record, ensure_ascii=False).encode()  # half of a pair is no text
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or _too_deep(record, _DEEPEST):
        raise FileError(f"{where} is damaged: it is no JSON object")
    return record


def read_yaml(path: Path, streams: bool = False) -> Any:
    """The plain values in a YAML file; a word is a number, a switch or null only if it says so.

    `streams` is as of `read_file`.

    Raises:
        FileError: as `read_file`, or if it is no YAML of plain values.
    """
    content = read_file(path, _LARGEST_YAML, streams)
    try:
        node = yaml.compose(content.decode(), yaml.BaseLoader)
        return None if node is None else _Plain().value(node, _DEEPEST)
    except UnicodeDecodeError:
        raise FileError(f"{path} is not YAML: it is not text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error)
        raise FileError(f"{path} is not YAML{where}: {reason}") from None
    except RecursionError:
        raise FileError(f"{path} is nested too deeply") from None


def check_fields(
    record: Mapping[str, Any],
    kinds: Mapping[str, type | UnionType],  # by field; one that may be absent is of None, too
    where: str,
) -> None:
    """Refuse a record that lacks a field, or has one of another type.

    Raises:
        FileError: if it does.
    """
    for name, kind in kinds.items():
        value = record.get(name)
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not fits and not (kind is float and type(value) is int):
            raise FileError(f"{where}: {name} must be {_in_words(kind)}, got {shown(value)}")


def shown(value: Any, most: int = 80) -> str:
    """A value in a message: no longer than a line."""
    return "null" if value is None else cut(repr(value), most)


def cut(text: str, most: int = 80) -> str:
    """Somebody's words in a message: no longer than a line."""
    return text if len(text) <= most else f"{text[: most - 20]}... ({len(text):,} characters)"


class _Plain:
    """Turns YAML's nodes into values, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        self.count += 1
        if not depth:
            raise RecursionError
        if self.count > _MOST:
            raise _refused(node, f"more than {_MOST:,} values, aliases written out")
        if node.tag not in _TAGS:
            raise _refused(node, f"{node.tag} is no plain value")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, depth - 1) for one in node.value]
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth - 1)
        return node.value if getattr(node, "style", None) else _word(node.value)

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        shared: dict[str, Any] = {}  # what `<<` takes from elsewhere; what stands here wins
        for key, one in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _TAGS:
                raise _refused(key, "a key is a name")
            if key.value in values:  # of which PyYAML would take the last
                times = sum(other.value == key.value for other, _ in node.value)
                raise _refused(node, f"{key.value} is there {times} times")
            if key.value != "<<":
                values[key.value] = self.value(one, depth)
                continue
            merged = self.value(one, depth)
            for source in merged if isinstance(merged, list) else [merged]:
                if not isinstance(source, dict):
                    raise _refused(one, "<< takes mappings")
                shared = source | shared
        return shared | values


def _refused(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _word(word: str) -> Any:
    if word in _WORDS:
        return _WORDS[word]
    if _WHOLE.fullmatch(word):
        return int(word)
    if _DECIMAL.fullmatch(word) and math.isfinite(number := float(word)):
        return number
    return word


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("a whole number of more than 64 bits")
    return int(digits)


def _too_deep(value: Any, depth: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(
        _too_deep(one, depth - 1) for one in inside if isinstance(one, (dict, list))
    )


def _in_words(kind: type | UnionType) -> str:
    return " or ".join(_KINDS[one] for one in getattr(kind, "__args__", (kind,)))
