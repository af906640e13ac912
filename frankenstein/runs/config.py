"""Runs as YAML: keys are the parameters of the verb, with underscores."""

from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Any

import yaml

from frankenstein.cli.errors import UsageError
from frankenstein.errors import did_you_mean
from frankenstein.runs.schema import Schema, read_schema
from frankenstein.runs.values import typed


def dump(verb: Callable[..., Any], values: Mapping[str, Any]) -> str:
    """The complete YAML of a run, which replays it: every parameter of the verb, as `--config`.

    Raises:
        TypeError: if a value is missing.
    """
    names = list(read_schema(verb).options)
    if missing := [name for name in names if name not in values]:
        raise TypeError(f"a run is replayed from all its values; missing: {', '.join(missing)}")
    record = {name: _plain(values[name]) for name in names}
    return yaml.safe_dump(record, sort_keys=False)


def read_config(schema: Schema, path: str) -> dict[str, Any]:
    """The values in a YAML file, converted and checked; those it leaves out are left out.

    Raises:
        UsageError: if there is no such file, or it says something that the verb does not know.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config {path} is not YAML: it is not text") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise UsageError(
            f"--config {path} is not YAML{where}: {getattr(error, 'problem', error)}"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(
            f"--config {path} must be lines of `name: value`, got a {type(content).__name__}"
        )
    return {key: _value(schema, key, value, path) for key, value in content.items()}


class _Loader(yaml.SafeLoader):
    """PyYAML takes the last of several keys of one name, and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                problem = f"{key.value} is there {names.count(key.value)} times"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def _value(schema: Schema, key: Any, value: Any, path: str) -> Any:
    if key not in schema.options:
        near = did_you_mean(str(key), schema.options)
        raise UsageError(f"unknown key {key} in {path}{near}")
    return typed(schema.options[key], value, f"{key} in {path}")


def _plain(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
